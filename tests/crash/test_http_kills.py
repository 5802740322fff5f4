"""``kill -9`` at random moments, while clients post: every acknowledged event is in the lake exactly once."""

from __future__ import annotations

import random
import socket
import time
from pathlib import Path

import pytest
from crash.audit import lake_ids
from crash.posters import Posters
from crash.program import finish, start

KILLS_PER_RUN = 12
RUNS = 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(RUNS))
def test_every_acknowledged_event_is_stored_once_through_random_kills(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    posters = Posters(tmp_path, _free_port(), dice)
    posters.start()
    for _ in range(KILLS_PER_RUN):
        process = start(posters.pipeline)
        _let_it_work(posters, process, dice)
        process.kill()
        assert process.wait() == -9, "it ended by itself: " + (tmp_path / "said.txt").read_text()[-4000:]
    process = start(posters.pipeline)
    posters.finish()
    process.terminate()
    assert process.wait(30) == 0
    finish(posters.pipeline)
    assert posters.wrong == []
    found = lake_ids(posters.lake)
    assert posters.acknowledged.total() > 1000
    assert posters.repeats > 0
    assert found == posters.acknowledged, {
        "lost": (posters.acknowledged - found).most_common(5),
        "doubled": (found - posters.acknowledged).most_common(5),
    }


def _let_it_work(posters: Posters, process: object, dice: random.Random) -> None:
    """Some kills come while it starts, most some time after the first answer."""
    if dice.random() < 0.15:
        time.sleep(dice.uniform(0.05, 1.0))
        return
    before, deadline = posters.acknowledged.total(), time.monotonic() + 30
    while posters.acknowledged.total() == before and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(dice.uniform(0.0, 1.0))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
