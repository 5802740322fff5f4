"""What a sink refused, appended once per commit.

A commit in the target names its dead letters; they are read back from the hub and appended in one hub
transaction that carries the commit's number. If a crash comes between, the target names them again when it is
opened, and they are appended unless the hub has the number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter

import numpy as np
import pyarrow as pa

from ingest.connectors import Commit, DeadLetter, Records, Standing
from ingest.errors import OffsetOutOfRange, TopicMissing
from ingest.formats import format_named
from ingest.hub.contract import Writer
from ingest.runtime import dead_letters
from ingest.runtime.dead_letter_topic import DeadLetterTopic
from ingest.runtime.task_setting import TaskSetting

STREAM = "dead-letters"
READ_BYTES = 1024 * 1024

Found = tuple[Records, Sequence[DeadLetter]]


class SinkDeadLetters:
    """The dead letters of one sink. ``remembers``: whether its target stores commits."""

    def __init__(self, setting: TaskSetting, sink: str, writer: Writer, *, remembers: bool) -> None:
        self._setting = setting
        self._hub = setting.hub
        self._writer = writer
        self._owner = setting.plan.sink_owner(sink)
        self._origin = {"pipeline": setting.plan.pipeline, "sink": sink}
        self._topic = DeadLetterTopic(setting.hub, setting.topics, setting.plan.errors_topic)
        self._remembers = remembers

    def resume(self, standing: Standing | None) -> None:
        """Called after ``open``: appends what the last commit names, if a crash came before that was done."""
        if standing is None:
            return
        number = standing.last.number if standing.last is not None else 0
        appended = int(self._hub.positions(self._owner).get(STREAM, {}).get("commit", 0))
        if appended > number:
            # The target is a new or an older one, and counts from its own number on: so does the hub.
            self._append((), number)
        elif standing.last is not None and appended < number:
            self.settle(standing.last)

    def settle(self, commit: Commit) -> None:
        """On return the commit's dead letters are on disk, with its number."""
        if commit.dead:
            self._append(commit.dead, commit.number)

    def _append(self, letters: Sequence[DeadLetter], number: int) -> None:
        transaction = self._hub.transaction(self._writer)
        try:
            for records, found in self._read_back(letters):
                self._topic.append(transaction, dead_letters.of_letters(records, found, self._origin))
            if self._remembers:
                transaction.put_positions(self._owner, {STREAM: {"commit": number}})
            transaction.commit().result()
        except Exception:
            transaction.abort()
            raise

    def _read_back(self, letters: Sequence[DeadLetter]) -> Iterator[Found]:
        """The records that the letters name, a bounded part at a time, in the order of the log."""
        ordered = sorted(letters, key=attrgetter("topic", "partition", "offset", "row"))
        for _, group in groupby(ordered, key=attrgetter("topic", "partition")):
            rest = list(group)
            while rest:
                records, found = self._next_part(rest)
                rest = rest[len(found) :]
                yield records, found

    def _next_part(self, letters: list[DeadLetter]) -> Found:
        first = letters[0]
        try:
            fetched = self._hub.read(first.topic, first.partition, first.offset, max_bytes=READ_BYTES)
        except (TopicMissing, OffsetOutOfRange):
            return _bytes_gone(letters)
        numbers = np.array([letter.offset for letter in letters if letter.offset < fetched.end])
        if fetched.records is None or not len(numbers):
            return _bytes_gone(letters[:1])
        offsets: pa.Array = fetched.records.offsets
        there = np.isin(numbers, offsets.to_numpy())
        if not there[0]:
            return _bytes_gone(letters[:1])
        many_rows = self._setting.topics.many_rows(first.topic)
        run = _run(numbers == first.offset if many_rows else there)
        named = fetched.records.take(pa.array(np.searchsorted(offsets.to_numpy(), numbers[:run])))
        return _rows_inside(named, letters[:run]) if many_rows else (named, letters[:run])


def _rows_inside(records: Records, letters: Sequence[DeadLetter]) -> Found:
    """The rows that are named of one record that holds many; if no one can read it, it stays whole.

    Decoded without the topic's schema: the row may be refused for not fitting it.
    """
    decoded = format_named("arrow").decode(records.slice(0, 1)).records
    if not len(decoded):
        return records, letters
    return decoded.take(pa.array([letter.row for letter in letters], pa.int64())), letters


def _run(mask: np.ndarray) -> int:
    """How many values from the first on are true."""
    return len(mask) if mask.all() else int(np.argmin(mask))


def _bytes_gone(letters: list[DeadLetter]) -> Found:
    """The topic was deleted, or its start moved, before the letters were written: what is known of them stays."""
    return Records(value=pa.nulls(len(letters), pa.binary()), topic=letters[0].topic), letters
