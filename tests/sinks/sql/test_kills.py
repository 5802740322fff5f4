"""Rows into databases by ``ingest run``, killed at each step and at random: the target equals the source."""

from __future__ import annotations

import json
import random
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from crash.program import finish, start
from sql_targets import Target

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.parametrize("target", ["sqlite", "postgres", "mariadb"], indirect=True),
]

FILES = """\
name: kills
hub: ./data
sources:
  - {name: files, type: files, url: ./in, every: 20ms, min_age: 0, max_batch: 16KiB, topic: rows}
sinks:
"""
SINK = "  - {{name: {name}, type: sql, topics: [rows], url: '{url}', table: {name}, batch: {{rows: 200}}, {more}}}\n"
DEAD = "errors: {tolerance: dead-letter, topic: rows.dead}\n"
INTO = {"added": "mode: insert", "changed": "mode: upsert, key: [place]"}
KEYS = {"added": "id", "changed": "place"}
OF_THE_SINK = ("sql.opened", "sql.written", "sql.written*2", "sql.committed")
OF_THE_ENGINE = ("source.appended*2", "sink.put", "sink.flushed", "sink.dead-letters", "sink.reported")
"""Each is met by a run that has one more file to read."""
ROWS = 1_000
"""Of a file; one in a hundred is refused by each table."""
PATIENCE_S = 60


class Shop:
    """A folder that gets files, tables that are to hold their rows, and what they have to hold."""

    def __init__(self, folder: Path, target: Target, into: Sequence[str] = tuple(INTO), more: str = "") -> None:
        self.target = target
        self.pipeline = folder / "pipeline.yaml"
        sinks = [SINK.format(name=name, url=target.url, more=INTO[name] + more) for name in into]
        self.pipeline.write_text(FILES + "".join(sinks) + DEAD)
        self.tables = {name: dict[int, tuple[int, str]]() for name in into}
        self._files = 0
        self._folder = folder / "in"
        self._folder.mkdir()
        for name in into:
            unique = KEYS[name]
            columns = "id integer NOT NULL, place integer NOT NULL, word varchar(40) NOT NULL"
            target.execute(f"CREATE TABLE {name} ({columns}, PRIMARY KEY ({unique}))")

    def write(self, dice: random.Random) -> None:
        """One more file, that is there whole or not at all."""
        lines = []
        for number in range(ROWS):
            row, place = self._files * ROWS + number, dice.randrange(5 * ROWS)
            word = None if number % 100 == 50 else f"word {row}"
            lines.append(json.dumps({"id": row, "place": place, "word": word}))
            if word is not None:
                for name, rows in self.tables.items():
                    rows[row if name == "added" else place] = (row, word)
        draft = self._folder / "_draft"
        draft.write_text("\n".join(lines) + "\n")
        draft.rename(self._folder / f"{self._files:04}.jsonl")
        self._files += 1

    def check(self) -> None:
        finish(self.pipeline)
        for name, rows in self.tables.items():
            unique = KEYS[name]
            found = self.target.execute(f"SELECT {unique}, id, word FROM {name}")
            assert {key: tuple(row) for key, *row in found} == rows, name
            assert len(found) == len(rows), name

    def die_at(self, point: str, *options: str) -> None:
        """The program dies there."""
        process = start(self.pipeline, *options, INGEST_FAILPOINTS=point)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE_S)
            raise AssertionError(f"{point} is never met: {self.said()}") from None
        assert process.returncode == -9, (point, self.said())

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """The program, at work until the block ends; killed then."""
        process = start(self.pipeline)
        try:
            yield process
        finally:
            alive = process.poll() is None
            process.kill()
            process.wait(PATIENCE_S)
        assert alive, self.said()

    def wait_for_a_commit(self, since: int) -> None:
        """By any of the sinks; ``since`` is what ``commits`` said."""
        never = threading.Event()
        for _ in range(PATIENCE_S * 50):
            if self.commits() > since:
                return
            never.wait(0.02)
        raise AssertionError(self.said())

    def commits(self) -> int:
        """By the target's own word."""
        try:
            found = self.target.execute("SELECT sum(commit_number) FROM _ingest_positions")
        except Exception as error:  # each database has its own classes
            if "_ingest_positions" in str(error):
                return 0  # the table is not there yet
            raise
        return int(found[0][0] or 0)

    def said(self) -> str:
        return (self.pipeline.parent / "said.txt").read_text()[-4000:]


def test_kills_at_each_step_and_at_random(target: Target, tmp_path: Path) -> None:
    shop, dice = Shop(tmp_path, target), random.Random(target.kind)
    for point in OF_THE_SINK + (OF_THE_ENGINE if target.kind == "sqlite" else ()):
        shop.write(dice)
        shop.die_at(point)
    for _ in range(3):
        with shop.running():
            shop.write(dice)
            shop.wait_for_a_commit(shop.commits())
            threading.Event().wait(dice.uniform(0.0, 0.15))
    shop.check()


def test_kills_of_a_load_that_becomes_visible_as_a_whole(target: Target, tmp_path: Path) -> None:
    shop, dice = Shop(tmp_path, target, ["added"], ", load: staged"), random.Random(3)
    for number, point in enumerate(("sql.written", "sql.committed", "sql.moved", "sql.finished")):
        shop.write(dice)
        before = target.execute("SELECT count(*) FROM added")
        shop.die_at(point, "--until-caught-up")
        seen = target.execute("SELECT count(*) FROM added")
        assert (seen == before) == (point != "sql.finished"), number
    shop.check()
    assert list(map(tuple, target.execute("SELECT count(*) FROM added_staging"))) == [(0,)]
