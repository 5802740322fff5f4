"""The contract of a source.

The life of a source, as its author sees it:

1. ``SourceConnector(settings)`` is made when the pipeline is loaded. It does no I/O.
2. ``check()`` may be called, by ``ingest validate --connect``: reach the system, change nothing.
3. ``tasks(most)`` divides the work into at most ``most`` tasks. Each runs in a thread of its own.
4. ``task.open(context, positions)``: ``positions`` is what the hub has committed for this task's
   streams: start right after it. Empty on the first run.
5. ``task.poll()`` again and again. It returns a batch with the positions *after* that batch; or
   ``None`` after it has waited a while (use ``context.wait``: never sleep). It raises
   ``EndOfInput`` when ``context.until_caught_up`` is set and nothing is left.
   ``task.appended(landed)`` follows each batch, for sources that must tell their senders where records went.
6. ``task.committed(positions)`` after the hub has a batch and its positions **on disk**: only now tell
   the outside system that it is done (delete the file, confirm the slot). Called in the thread that polls,
   in order, perhaps for several batches at once; after a crash it may never have been called.
7. ``task.drain()`` again and again after ``context.stopping`` is set, until it returns ``None``: what the task has
   accepted from others and not handed over yet.
8. ``task.close()``, always, also after a failure. ``open`` may be called again afterwards on a new task.

A failed ``poll`` that raises a ``Retriable`` error is tried again after a pause, with the task reopened
from the committed positions; any other error stops the task.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from ingest.config import Settings
from ingest.connectors.dead_letters import DeadRecords
from ingest.connectors.records import Records
from ingest.environment import Environment

Position = Mapping[str, Any]
"""JSON values only. Opaque to the engine."""


class EndOfInput(Exception):
    """Raised by ``poll``: nothing is left and nothing will come. A signal, no error."""


@dataclass(frozen=True, slots=True)
class Polled:
    """One step of a source: all of it, positions included, commits in one hub transaction, or none.

    ``positions`` maps each stream that moved to where it stands after this batch; ``None`` forgets a
    stream. Each ``Records`` comes from one stream. A step may carry positions without records.
    ``stateless`` says that it carries none, nor will ``appended`` add any: a small step then costs one sync, not two.

    ``open``: the step goes on. It is appended at once, whatever its size, and commits with the next step that is not
    open; a failure, a stop or a crash before that aborts all of it, and readers never see a row. The positions of
    its parts are gathered, later ones win; ``committed`` tells them together. A source must not end while a step
    of its own is open. Until then readers of committed records wait before it, in each topic that it wrote to.
    """

    records: Sequence[Records] = ()
    positions: Mapping[str, Position | None] = field(default_factory=dict)
    dead: Sequence[DeadRecords] = ()
    stateless: bool = False
    open: bool = False


@dataclass(frozen=True, slots=True)
class Landed:
    """Rows of one ``Records`` of a step that were appended to a partition: offsets ``first``..``first + count``.

    ``polled`` is the index of that ``Records`` in ``Polled.records``; ``rows`` (int64) are the rows that went there,
    in the order of the offsets, or None where one record holds many rows. Rows that are in no ``Landed`` were left
    out by a transform, or became dead letters.
    """

    polled: int
    topic: str
    partition: int
    first: int
    count: int
    rows: pa.Array | None


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What the runtime gives a source task.

    ``topic`` is the source's topic as its settings have it; placeholders in it are for the source to fill.
    ``base_folder`` is where relative paths start; ``max_batch_bytes`` bounds one ``Polled``;
    ``stopping`` is set when the task should return from ``poll`` soon (within a second). ``report`` tells the
    user one sentence about what the task copes with by itself (a file that cannot be read for now).
    """

    name: str
    base_folder: Path
    environment: Environment
    until_caught_up: bool = False
    max_batch_bytes: int = 4 * 1024 * 1024
    stopping: threading.Event = field(default_factory=threading.Event)
    report: Callable[[str], None] = field(default=logging.getLogger("ingest.sources").warning)
    topic: str = ""

    def wait(self, timeout_ms: int) -> bool:
        """Waits until the task should stop (true) or the time has passed (false)."""
        return self.environment.clock.wait(self.stopping, timeout_ms)


class SourceTask(ABC):
    """One thread's share of a source. Used by one thread only."""

    @abstractmethod
    def open(self, context: SourceContext, positions: Mapping[str, Position]) -> None:
        """Prepares to read on after ``positions``; raises ``PositionLost`` where that is impossible."""

    @abstractmethod
    def poll(self) -> Polled | None:
        """The next batch; blocks at most about a second; see the life above."""

    def appended(self, landed: Sequence[Landed]) -> Mapping[str, Position | None]:
        """The last step's records were appended, and nobody sees them yet (unless it was ``stateless``). The positions
        that are returned are added to the step's own: what can only be known now, and must commit with the records."""
        return {}

    def has_more(self) -> bool:
        """Whether ``poll`` would return a batch at once. A small one is polled then while the last one is on its way to
        the disk; else that is waited for first, so that the source hears of it."""
        return False

    def committed(self, positions: Mapping[str, Position | None]) -> None:
        """The hub has everything up to ``positions`` on disk."""
        return

    def drain(self) -> Polled | None:
        """Called after the last ``poll`` of a task that is stopped: the next step of what it has accepted already,
        soon, or None when there is no more. Sources that can read their input again need not care."""
        return None

    def lag(self) -> Mapping[str, int] | None:
        """How much is left to read as far as is known, by unit: ``{"bytes": 1024}``, ``{"rows": 7, "ms": 200}``;
        None if nobody knows. For ``status``: called about once a second between polls, so it must be quick."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Frees what ``open`` took. Must not raise because ``open`` failed half-way."""


class SourceConnector(ABC):
    """Named by an entry point in the group ``ingest.sources``; the class docstring is its documentation."""

    Settings: ClassVar[type[Settings]]
    needs_topic: bool = False
    """True if records come out without a topic where the pipeline gives the source none: that is an error of the file
    then. An instance may set it, by its settings."""

    @abstractmethod
    def __init__(self, settings: Any) -> None:
        """``settings`` is an instance of ``Settings``. Does no I/O."""

    def check(self, base_folder: Path) -> None:
        """Reaches the outside system and raises a ``ConnectorError`` with a hint if it cannot be used."""
        return

    @abstractmethod
    def tasks(self, most: int) -> Sequence[SourceTask]:
        """At least one task, at most ``most``. Positions are shared out by stream name: a task must
        ignore streams that are not its own. Called again for each attempt: the division must stay the same."""
