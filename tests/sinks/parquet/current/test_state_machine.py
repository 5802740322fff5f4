"""Random changes, commits, crashes and power cuts against a dictionary: readers see what it held at a commit."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
from current_rows import Change, CurrentTable, put, records_of_changes
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from lake import FAIL_POINTS

from ingest.connectors.testing import Crash
from ingest.sinks.lake.checking import check_table
from ingest.sinks.lake.reading import open_dataset
from ingest.sources.databases.changes import UNAVAILABLE

ROW = pa.struct([("id", pa.int64()), ("word", pa.string()), ("large", pa.string())])
State = dict[int, dict[str, Any]]
keys = st.integers(0, 15)
changes = st.tuples(st.sampled_from("iiiiuuuukddt"), keys, keys, st.none() | st.text("ab", max_size=3), st.booleans())


class Readers(RuleBasedStateMachine):
    """``log`` is the topic; ``states[n]`` what the table holds once the records before offset ``n`` are merged."""

    @initialize(rows=st.sampled_from([3, 8, 1000]), memory=st.sampled_from(["1MiB", "64MiB"]))
    def begin(self, rows: int, memory: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.table = CurrentTable(
            Path(self.folder.name), {"roll": {"rows": rows}, "memory": memory, "merge": {"grace": "1s"}}
        )
        self.log: list[tuple[int, Any]] = []
        self.states: dict[int, State] = {0: {}}
        self.now: State = {}
        self.end = self.at = self.committed = 0
        self.task = self.table.open()

    def teardown(self) -> None:
        if hasattr(self, "task"):
            self.task.close()
            self.folder.cleanup()

    @rule(changes=st.lists(changes, min_size=1, max_size=12), commit=st.booleans())
    def change(self, changes: list[tuple[str, int, int, str | None, bool]], commit: bool) -> None:
        self._append([self._change(*each) for each in changes])
        self._deliver()
        if commit:
            self.commit()

    @rule()
    def commit(self) -> None:
        if self.task.flush(force=True) is not None:
            self.committed = self.at

    @rule()
    def spill(self) -> None:
        """As if memory were full."""
        waiting = self.task._merged._waiting
        if waiting._parts:
            waiting._memory_bytes = 0
            waiting._spill()

    @rule(ms=st.sampled_from([10, 2000]))
    def wait(self, ms: int) -> None:
        self.table.clock.ms += ms
        self.table.clock.wall_ms += ms

    @rule(point=st.sampled_from([*FAIL_POINTS[2:], "lake.hide.file", "lake.hidden"]), count=st.integers(1, 3))
    def crash_in_a_commit(self, point: str, count: int) -> None:
        self.table.fail.arm(point, crash, count=count)
        before = self.committed
        try:
            self.commit()
        except Crash:
            self.committed = -1
        self.table.fail._armed.clear()
        self.task._merged._waiting.clear()  # as the end of the process does
        self._reopen(before)

    @rule()
    def restart(self) -> None:
        self.task.close()
        self._reopen(self.committed)

    @invariant()
    def readers_see_the_last_commit(self) -> None:
        if not hasattr(self, "task"):
            return
        expected = self.states[self.committed]
        assert self.table.rows() == expected
        if self.committed:
            seen = open_dataset("lake", self.table.folder).to_table().to_pylist()
            assert len(seen) == len(expected)
            assert {row["id"]: row for row in seen} == expected
            found = check_table("lake", self.table.folder, repair=False)
            assert [each for each in found if each.severity == "error"] == []

    def _reopen(self, before: int) -> None:
        """A crash leaves the state before the commit or that after it: the target says which."""
        self.task = self.table.open()
        last = self.task.standing.last  # type: ignore[attr-defined]
        self.at = next(iter(last.offsets.values())) if last else 0
        assert self.committed in (-1, self.at)
        assert self.at >= before
        self.committed = self.at
        self._deliver()

    def _append(self, changes: list[Change]) -> None:
        records = records_of_changes(*changes, row=ROW)
        self.log.append((self.end, records))
        self.end += len(records)
        self.states[self.end] = dict(self.now)

    def _deliver(self) -> None:
        """All that the topic has, as far as it was not put."""
        for start, records in self.log:
            if start >= self.at:
                self.at = put(self.task, start, records)

    def _change(self, kind: str, key: int, other: int, word: str | None, sent: bool) -> Change:
        old = self.now.get(key)
        if kind == "t":
            self.now.clear()
            return "t", None, None
        if kind in "ukd" and old is None:
            kind = "i"
        if kind == "d":
            return "d", self.now.pop(key), None
        new = {"id": key, "word": word, "large": f"large {word}"}
        if kind == "k" and other not in self.now:
            self.now[other] = new | {"id": other}
            return "u", self.now.pop(key), self.now[other]
        if kind == "u" and old is not None and not sent:
            self.now[key] = new | {"large": old["large"]}
            return "u", None, new | {"large": UNAVAILABLE}
        self.now[key] = new
        return ("u" if old else "c"), None, new


def crash() -> NoReturn:
    raise Crash


TestReaders = Readers.TestCase
TestReaders.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
