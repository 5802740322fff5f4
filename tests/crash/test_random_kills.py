"""``kill -9`` at random moments, while files grow and rotate: every line comes out exactly once."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from crash.audit import assert_exactly_once
from crash.program import finish, start
from crash.site import Site, live

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
        live(site, process, dice)
        process.kill()
        assert process.wait() == -9, "it ended by itself: " + (tmp_path / "said.txt").read_text()[-4000:]
        if dice.random() < 0.3:
            site.rotate()
            site.write(dice.randrange(1, 50))
    finish(site.pipeline)
    assert_exactly_once(site)
