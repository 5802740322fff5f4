"""``kill -9`` at random moments, while files grow and rotate: every line comes out exactly once."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest
from crash.audit import assert_exactly_once
from crash.program import finish, start
from crash.site import Site

KILLS_PER_RUN = 25
RUNS = 8


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(RUNS))
def test_every_line_comes_out_once_through_random_kills(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    site = Site(tmp_path, dice, max_batch=dice.choice(["4KiB", "64KiB"]), roll_rows=dice.choice([50, 500]))
    site.write(500)
    for _ in range(KILLS_PER_RUN):
        process = start(site.pipeline)
        _live(site, process, dice)
        process.kill()
        assert process.wait() == -9, "it ended by itself: " + (tmp_path / "said.txt").read_text()[-4000:]
        if dice.random() < 0.3:
            site.rotate()
            site.write(dice.randrange(1, 50))
    finish(site.pipeline)
    assert_exactly_once(site)


def _live(site: Site, process: subprocess.Popen[str], dice: random.Random) -> None:
    """The site goes on while the program starts and works; most kills come some time after it has begun."""
    waits_for_begin = dice.random() < 0.85
    end = time.monotonic() + dice.uniform(0.05, 1.0)
    while process.poll() is None and (waits_for_begin or time.monotonic() < end):
        site.write(dice.randrange(1, 60))
        if dice.random() < 0.02:
            site.rotate()
        try:
            process.wait(dice.uniform(0.005, 0.05))
        except subprocess.TimeoutExpired:
            if waits_for_begin and _has_begun(site, process.pid):
                waits_for_begin, end = False, time.monotonic() + dice.uniform(0.0, 1.2)


def _has_begun(site: Site, pid: int) -> bool:
    """The worker writes its status when it starts."""
    status = site.folder / "data" / "status" / "site.json"
    return status.exists() and f'"pid": {pid},' in status.read_text()
