"""A rotating log, a source that is stopped and crashes, and the one law: every line exactly once."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tailing import Tail

HEADER = "#Version: 1.0"
WAIT_MS = 5_000
LOGS = ("a.log", "b.log")


class RotatingLogs(RuleBasedStateMachine):
    """The writer's side is a folder of two logs and their turns; the model is a count of lines."""

    @initialize(batch_bytes=st.sampled_from([64, 700, 1 << 20]))
    def begin(self, batch_bytes: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ingest-model-"))
        self.tail = Tail(self.folder, "*.log*", batch_bytes=batch_bytes)
        self.written: Counter[str] = Counter()
        self.open_line = dict.fromkeys(LOGS, "")
        self.number = 0

    def teardown(self) -> None:
        if not hasattr(self, "tail"):
            return
        try:
            for log in LOGS:
                self._write(log, "the end\n")
            self.tail.settle(3 * WAIT_MS)
            assert Counter(self.tail.lines) == self.written
            assert not self.tail.dead
        finally:
            self.tail.stop()
            shutil.rmtree(self.folder)

    @invariant()
    def nothing_is_read_twice(self) -> None:
        if hasattr(self, "tail"):
            twice = Counter(self.tail.lines) - self.written - Counter(self.open_line.values())
            assert not twice

    # -- the writer

    @rule(log=st.sampled_from(LOGS), count=st.integers(1, 40))
    def writes_lines(self, log: str, count: int) -> None:
        for _ in range(count):
            self.number += 1
            self._write(log, f"{log} {self.number:07} {'.' * (self.number * 7 % 31)}\n")

    @rule(log=st.sampled_from(LOGS))
    def writes_half_a_line(self, log: str) -> None:
        self.number += 1
        self._write(log, f"half {self.number} ")

    @rule(log=st.sampled_from(LOGS))
    def rotates_by_renaming(self, log: str) -> None:
        self._make_room(log)
        if (self.folder / log).exists():
            (self.folder / log).rename(self.folder / f"{log}.1")
            self._end_line(log)

    @rule(log=st.sampled_from(LOGS), looks=st.integers(0, 3), keeps_times=st.booleans())
    def rotates_by_copying(self, log: str, looks: int, keeps_times: bool) -> None:
        self._make_room(log)
        if not (self.folder / log).exists():
            return
        copy = shutil.copy2 if keeps_times else shutil.copyfile
        copy(self.folder / log, self.folder / f"{log}.1")
        for _ in range(looks):
            self.tail.poll()
        os.truncate(self.folder / log, 0)
        self._end_line(log)

    @rule(log=st.sampled_from(LOGS), turn=st.integers(1, 3), looks=st.integers(0, 3))
    def compresses_a_turn(self, log: str, turn: int, looks: int) -> None:
        plain = self.folder / f"{log}.{turn}"
        if not plain.exists():
            return
        packed = plain.with_name(f"{plain.name}.gz")
        data = gzip.compress(plain.read_bytes())
        status = plain.stat()
        with packed.open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            for _ in range(looks):
                self.tail.poll()
            file.write(data[len(data) // 2 :])
        os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
        plain.unlink()

    @rule(log=st.sampled_from(LOGS))
    def deletes_the_oldest_turn_once_it_was_read(self, log: str) -> None:
        turns = sorted(self.folder.glob(f"{log}.*"), reverse=True)
        if turns:
            self.tail.settle(3 * WAIT_MS)
            turns[0].unlink()
            self.tail.settle(3 * WAIT_MS)

    # -- the source

    @rule(polls=st.integers(1, 5))
    def polls(self, polls: int) -> None:
        for _ in range(polls):
            self.tail.poll()

    @rule(wait_ms=st.sampled_from([200, 2_000, 12_000]))
    def runs_for_a_while(self, wait_ms: int) -> None:
        self.tail.settle(wait_ms)

    @rule(lost=st.integers(0, 3))
    def crashes(self, lost: int) -> None:
        for _ in range(lost):
            self.tail.poll_uncommitted()
        self.tail.stop()

    # -- bookkeeping

    def _write(self, log: str, text: str) -> None:
        path = self.folder / log
        if not path.exists() or not path.stat().st_size:
            text = f"{HEADER}\n{text}"
        with path.open("a") as file:
            file.write(text)
        *whole, self.open_line[log] = (self.open_line[log] + text).split("\n")
        self.written.update(whole)

    def _end_line(self, log: str) -> None:
        if self.open_line[log]:
            self.written[self.open_line[log]] += 1
        self.open_line[log] = ""

    def _make_room(self, log: str) -> None:
        """Turn 3 is deleted, as logrotate does with the last; what it held must have been read."""
        for turn in (3, 2, 1):
            for suffix in ("", ".gz"):
                path = self.folder / f"{log}.{turn}{suffix}"
                if path.exists() and turn == 3:
                    self.tail.settle(3 * WAIT_MS)
                    path.unlink()
                    self.tail.settle(3 * WAIT_MS)
                elif path.exists():
                    path.rename(self.folder / f"{log}.{turn + 1}{suffix}")


RotatingLogs.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
TestRotatingLogs = RotatingLogs.TestCase
