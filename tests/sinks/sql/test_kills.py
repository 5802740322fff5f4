"""Rows into databases by ``ingest run``, killed at each step and at random: the target equals the source."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest
from loading import Loading
from sql_targets import Target

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.parametrize("target", ["sqlite", "postgres", "mariadb"], indirect=True),
]

OF_THE_SINK = ("sql.opened", "sql.written", "sql.written*2", "sql.committed")
OF_THE_ENGINE = ("source.appended*2", "sink.put", "sink.flushed", "sink.dead-letters", "sink.reported")
"""Each is met by a run that has one more file to read."""


def test_kills_at_each_step_and_at_random(target: Target, tmp_path: Path) -> None:
    load, dice = Loading(tmp_path, target), random.Random(target.kind)
    for point in OF_THE_SINK + (OF_THE_ENGINE if target.kind == "sqlite" else ()):
        load.write(dice)
        load.die_at(point)
    for _ in range(3):
        with load.running():
            load.write(dice)
            load.wait_for_a_commit(load.commits())
            threading.Event().wait(dice.uniform(0.0, 0.15))
    load.check()


def test_kills_of_a_load_that_becomes_visible_as_a_whole(target: Target, tmp_path: Path) -> None:
    load, dice = Loading(tmp_path, target, ["added"], ", load: staged"), random.Random(3)
    for number, point in enumerate(("sql.written", "sql.committed", "sql.moved", "sql.finished")):
        load.write(dice)
        before = target.execute("SELECT count(*) FROM added")
        load.die_at(point, "--until-caught-up")
        seen = target.execute("SELECT count(*) FROM added")
        assert (seen == before) == (point != "sql.finished"), number
    load.check()
    assert list(map(tuple, target.execute("SELECT count(*) FROM added_staging"))) == [(0,)]
