"""The contract of a sink.

The life of a sink, as its author sees it:

1. ``SinkConnector(settings)`` is made when the pipeline is loaded. It does no I/O.
2. ``check(base_folder)`` may be called, by ``ingest validate --connect``: reach the target, change nothing.
3. ``task.open(context)`` finishes or undoes what a crash left half done, and returns where the
   **target** stands: the next offset of each partition, as stored with the output itself. ``None``
   means that this target remembers nothing; then the group's reported offsets decide (at least once).
4. ``task.put(delivery)`` again and again, in offset order per partition; deliveries of one partition
   follow each other without a gap. The task may buffer, on its own disk rather than in memory. What it
   refuses itself it names in its next commit; ``MAX_HELD_BYTES`` of such letters make a commit due.
5. ``task.flush(force)`` after each ``put`` and whenever ``next_flush_ms`` has passed: makes a commit if
   one is due (or if anything is pending and ``force`` is set), and returns it once it is durable in the
   target; else ``None``.
6. The runtime then appends the commit's dead letters to their topic in one hub transaction that carries
   the commit's number, and reports the group's offsets. If a crash comes between, ``open`` names that
   commit's dead letters again, and the runtime appends them unless the hub has the number.
7. ``task.finish()`` once all that the hub held is committed, if the run is one that ends; never on a stop.
8. ``task.close()``, always. What was put but not flushed is forgotten: it will be put again.

A failure that is ``Retriable`` reopens the task after a pause; any other stops it.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from ingest.config import Settings
from ingest.connectors.dead_letters import DeadLetter
from ingest.connectors.records import Records
from ingest.environment import Environment


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """The half-open offset range ``start``..``end`` of one partition, and what came of it.

    ``records`` may be empty: everything in the range was filtered out, aborted, or a control record.
    All rows of one offset are in one delivery. ``dead`` names what transforms before this sink refused;
    ``filtered`` counts the rows that they left out (less those that they added).
    """

    topic: str
    partition: int
    start: int
    end: int
    records: Sequence[Records] = ()
    dead: Sequence[DeadLetter] = ()
    filtered: int = 0


@dataclass(frozen=True, slots=True)
class Commit:
    """What a flush made durable: ``number`` counts this sink's commits from 1 without gaps; ``offsets``
    are the next offsets of all partitions; ``dead`` what this commit dead-letters; ``filtered`` counts the rows that
    the sink itself left out, as there is nothing to write in them (tombstones); the rest is told to users
    (``paths``: the files, relative to the target, if it is one of files)."""

    number: int
    offsets: Mapping[TopicPartition, int]
    dead: Sequence[DeadLetter] = ()
    rows: int = 0
    files: int = 0
    size_bytes: int = 0
    paths: Sequence[str] = ()
    filtered: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the target stands: ``last`` is its newest commit (None: it has none); ``hub_id``,
    ``topic_ids`` and ``epoch`` are those stored with it, checked by the runtime against its own."""

    last: Commit | None = None
    hub_id: str = ""
    topic_ids: Mapping[str, str] = field(default_factory=dict)
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What the runtime gives a sink task.

    ``hub_id``, ``topic_ids`` (by topic; it grows when topics appear) and ``epoch`` are stored with each commit.
    ``epoch`` grows with each start of this sink; a target that holds a higher one belongs to a newer writer:
    raise ``SinkFenced``.
    ``bounded`` tells that the input is a range that ends: wall time then makes no commit due, only rows and bytes do.
    ``tolerate`` tells whether a bad record may become a dead letter; if not, raise ``RecordRefused``.
    ``report`` tells the user one sentence about what is worth knowing and stops nothing. Thread-safe.
    """

    pipeline: str
    name: str
    hub_id: str
    topic_ids: Mapping[str, str]
    epoch: int
    base_folder: Path
    environment: Environment
    tolerate: bool = True
    stopping: threading.Event = field(default_factory=threading.Event)
    bounded: bool = False
    report: Callable[[str], None] = field(default=logging.getLogger("ingest.sinks").warning)


class SinkTask(ABC):
    """Writes what it is given. Used by one thread only."""

    @abstractmethod
    def open(self, context: SinkContext) -> Standing | None:
        """See the life above."""

    @abstractmethod
    def put(self, delivery: Delivery) -> None:
        """Takes a delivery; on return its columns may still be referenced by the sink."""

    @abstractmethod
    def flush(self, force: bool = False) -> Commit | None:
        """Commits if a commit is due; ``force`` commits whatever is pending, if anything is. A run that ends calls it
        until it returns None: a target may take a part at a time."""

    def next_flush_ms(self) -> int | None:
        """How many milliseconds from now ``flush`` wants to be called at the latest; None: not needed."""
        return None

    def finish(self) -> None:
        """All that this run was to write is committed: what waits for that (a table that is to be replaced) is done
        now. It may be called again after a crash, with nothing left to do."""
        return

    @abstractmethod
    def close(self) -> None:
        """Frees what ``open`` took, removes its own unfinished temporaries if that is quick."""


class SinkConnector(ABC):
    """Named by an entry point in the group ``ingest.sinks``; the class docstring is its documentation."""

    Settings: ClassVar[type[Settings]]
    reads_headers: ClassVar[bool] = True
    """False for a sink that never looks at ``Records.headers``: where no transform before it does either, they are
    left out, for taking them apart costs as much as taking the values."""

    @abstractmethod
    def __init__(self, settings: Any) -> None:
        """``settings`` is an instance of ``Settings``. Does no I/O."""

    def check(self, base_folder: Path) -> None:
        """Reaches the target and raises a ``ConnectorError`` with a hint if it cannot be used."""
        return

    @abstractmethod
    def task(self) -> SinkTask:
        """A new task."""
