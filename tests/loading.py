"""A pipeline that loads files into tables of a database, in a process of its own."""

from __future__ import annotations

import json
import random
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from crash.program import finish, start
from sql_targets import Target

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
ROWS = 1_000
"""Of a file; one in a hundred is refused by each table."""
PATIENCE_S = 60


class Loading:
    """A folder that gets files, tables that are to hold their rows, and what they have to hold."""

    def __init__(
        self, folder: Path, target: Target, into: Sequence[str] = tuple(INTO), more: str = "", made: str = ""
    ) -> None:
        """``more`` are further settings of the sinks, ``made`` stands behind CREATE TABLE."""
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
            target.execute(f"CREATE TABLE {name} ({columns}, PRIMARY KEY ({unique})) {made}")

    def write(self, dice: random.Random, places: Sequence[int] = ()) -> None:
        """One more file, that is there whole or not at all; with these places, or with many of any."""
        lines = []
        for number, place in enumerate(places or [dice.randrange(5 * ROWS) for _ in range(ROWS)]):
            row = self._files * ROWS + number
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
        self.wait_for(lambda: self.commits() > since)

    def wait_for(self, met: Callable[[], object]) -> None:
        """Asks again and again; fails if it is never met."""
        never = threading.Event()
        for _ in range(PATIENCE_S * 50):
            if met():
                return
            never.wait(0.02)
        raise AssertionError(self.said())

    def wait_for_words(self, words: str) -> None:
        """In what the program says."""
        self.wait_for(lambda: words in self.said())

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
