"""Rows into databases by ``ingest run``, killed at each step and at random, cut off, the server restarted: the target
equals the source, row by row."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from crash.program import finish, start
from servers.mariadb import MariadbServer
from servers.postgres import PostgresServer
from sql_targets import ServerTarget, Target

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PIPELINE = """\
name: kills
hub: ./data
sources:
  - {{name: files, type: files, url: ./in, every: 20ms, min_age: 0, max_batch: 16KiB, topic: rows}}
sinks:
  - {{name: copy, type: sql, topics: [rows], url: '{url}', table: target, batch: {{rows: 200}}, {more}}}
errors: {{tolerance: dead-letter, topic: rows.dead}}
"""
POINTS = (
    "source.appended*2",
    "sql.opened",
    "sink.put",
    "sql.written",
    "sql.committed",
    "sink.flushed",
    "sink.dead-letters",
    "sink.reported",
)
"""Each is met by a run that has one more file to read."""
LOADS = {
    "insert": "mode: insert",
    "upsert": "mode: upsert, key: [id]",
    "staged": "mode: insert, load: staged",
}
ROWS = 1_000
"""Of a file; one in a hundred is refused by the table."""
PATIENCE_S = 60


class Shop:
    """A folder that gets files, a table that is to hold their rows, and what it has to hold."""

    def __init__(self, folder: Path, target: Target, load: str) -> None:
        self.target = target
        self.pipeline = folder / "pipeline.yaml"
        self.pipeline.write_text(PIPELINE.format(url=target.url, more=LOADS[load]))
        self.rows: dict[int, str] = {}
        self._changes = load == "upsert"
        self._files = 0
        self._folder = folder / "in"
        self._folder.mkdir()
        target.execute("CREATE TABLE target (id integer PRIMARY KEY, word varchar(40) NOT NULL)")

    def write(self, dice: random.Random) -> None:
        """One more file, that is there whole or not at all."""
        lines = []
        for number in range(ROWS):
            key = dice.randrange(5 * ROWS) if self._changes else self._files * ROWS + number
            word = None if number % 100 == 50 else f"word {self._files} {number}"
            lines.append(json.dumps({"id": key, "word": word}))
            if word is not None:
                self.rows[key] = word
        draft = self._folder / "_draft"
        draft.write_text("\n".join(lines) + "\n")
        draft.rename(self._folder / f"{self._files:04}.jsonl")
        self._files += 1

    def check(self) -> None:
        finish(self.pipeline)
        found = dict(self.target.execute("SELECT id, word FROM target"))
        assert found == self.rows
        (count,) = self.target.execute("SELECT count(*) FROM target")[0]
        assert count == len(self.rows)

    def die_at(self, point: str, *options: str) -> None:
        """The program dies there."""
        process = start(self.pipeline, *options, INGEST_FAILPOINTS=point)
        try:
            assert process.wait(PATIENCE_S) == -9, (point, (self.pipeline.parent / "said.txt").read_text()[-4000:])
        finally:
            process.kill()

    @contextmanager
    def running(self) -> Iterator[Popen[str]]:
        """The program, at work until the block ends; killed then."""
        process = start(self.pipeline)
        try:
            yield process
        finally:
            assert process.poll() is None, (self.pipeline.parent / "said.txt").read_text()[-4000:]
            process.kill()
            process.wait(PATIENCE_S)

    def wait_for(self, met: Callable[[], bool]) -> None:
        """Asks again and again; fails if it is never met."""
        never = threading.Event()
        for _ in range(PATIENCE_S * 50):
            if met():
                return
            never.wait(0.02)
        raise AssertionError((self.pipeline.parent / "said.txt").read_text()[-4000:])


@pytest.mark.parametrize("load", ["insert", "upsert"])
def test_kills_at_each_step_and_at_random(target: Target, tmp_path: Path, load: str) -> None:
    shop, dice = Shop(tmp_path, target, load), random.Random(load)
    for point in POINTS if load == "insert" else POINTS[3:5]:
        shop.write(dice)
        shop.die_at(point)
    for _ in range(3):
        with shop.running():
            shop.write(dice)
            before = _commits(shop)
            shop.wait_for(lambda before=before: _commits(shop) > before)  # type: ignore[misc]
            threading.Event().wait(dice.uniform(0.0, 0.15))
    shop.check()


def test_kills_of_a_load_that_becomes_visible_as_a_whole(target: Target, tmp_path: Path) -> None:
    shop, dice = Shop(tmp_path, target, "staged"), random.Random(3)
    for number, point in enumerate(("sql.written", "sql.committed", "sql.moved", "sql.finished", "sql.moved")):
        shop.write(dice)
        before = target.execute("SELECT count(*) FROM target")
        shop.die_at(point, "--until-caught-up")
        seen = target.execute("SELECT count(*) FROM target")
        assert (seen == before) == (point != "sql.finished"), number
    shop.check()
    assert target.execute("SELECT count(*) FROM target_staging") == [(0,)]


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_connections_that_are_cut_and_servers_that_go_down(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    server: PostgresServer | MariadbServer = request.getfixturevalue(kind)
    shop, dice = Shop(tmp_path, ServerTarget(kind, server), "insert"), random.Random(4)
    with shop.running():
        for number in range(5):
            shop.write(dice)
            before = _commits(shop)
            shop.wait_for(lambda before=before: _commits(shop) > before)  # type: ignore[misc]
            if number % 2:
                server.stop("immediate")
                server.start()
            else:
                _cut(shop.target)
    shop.check()
    assert "again" in (tmp_path / "said.txt").read_text()


def _commits(shop: Shop) -> int:
    """By the target's own word."""
    try:
        found: list[Any] = shop.target.execute("SELECT max(commit_number) FROM _ingest_positions")
    except Exception as error:  # each database has its own classes
        if "_ingest_positions" in str(error):
            return 0  # the table is not there yet
        raise
    return int(found[0][0] or 0)


def _cut(target: Target) -> None:
    if target.kind == "postgres":
        target.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ingest'")
        return
    mine = "db = database() AND id <> connection_id()"
    for (number,) in target.execute(f"SELECT id FROM information_schema.processlist WHERE {mine}"):
        target.execute(f"KILL {number}")
