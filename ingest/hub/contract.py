"""The contract of a hub: the partitioned log that a pipeline runs on.

Records cross this contract encoded: ``value`` and ``key`` are binary columns, as ``formats`` made them.
All methods are thread-safe. Offsets count records; ranges are half-open.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ingest.connectors import Records, TopicPartition


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """A topic: ``id`` is its UUID as text; ``config`` holds what was set, by Kafka's names, as text."""

    name: str
    id: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    internal: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was read from one partition.

    ``records`` (with offsets set; None if the range held none that are visible) cover offsets
    ``start``..``end``; read on at ``end``. ``high_watermark`` is the first offset not on disk.
    """

    records: Records | None
    start: int
    end: int
    high_watermark: int


@dataclass(frozen=True, slots=True)
class Appended:
    """Where records went: offsets ``base_offset``..``base_offset + count``."""

    topic: str
    partition: int
    base_offset: int
    count: int


@dataclass(frozen=True, slots=True)
class Writer:
    """One of a kind: ``epoch`` grows each time the same ``name`` is registered, and fences the older ones."""

    name: str
    epoch: int


class HubTransaction(ABC):
    """Appends to several partitions, and positions, that become visible together or not at all.

    Used by one thread. One open transaction per writer.
    """

    @abstractmethod
    def append(self, records: Records, partition: int) -> Appended:
        """Appends encoded ``records`` to ``records.topic``; readers do not see them yet."""

    @abstractmethod
    def put_positions(self, owner: str, positions: Mapping[str, Mapping[str, Any] | None]) -> None:
        """Sets the positions of ``owner``'s streams (None removes one) as part of the transaction."""

    @abstractmethod
    def commit(self) -> Future[None]:
        """Done when all of it is on disk and visible. Raises ``Fenced`` through the future if a newer
        epoch of the writer exists. The next transaction of this writer may begin after it is done."""

    @abstractmethod
    def abort(self) -> None:
        """Readers never see what was appended. Also called if ``commit`` failed before its commit point."""


class Hub(ABC):
    """See the module. ``id`` is the hub's UUID, made once with its data."""

    id: str

    @abstractmethod
    def topics(self) -> Sequence[TopicInfo]:
        """All topics, internal ones included, by name."""

    @abstractmethod
    def topic(self, name: str) -> TopicInfo:
        """Raises ``TopicMissing``."""

    @abstractmethod
    def create_topic(self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> TopicInfo:
        """Raises ``TopicExists``, or ``TopicInvalid`` for a bad name or setting. Durable on return."""

    @abstractmethod
    def alter_topic(
        self, name: str, *, partitions: int | None = None, config: Mapping[str, str | None] | None = None
    ) -> TopicInfo:
        """More partitions (never fewer), settings set or (None) removed. Durable on return."""

    @abstractmethod
    def delete_topic(self, name: str) -> None:
        """Removes the topic and its records. Raises ``TopicMissing``; internal topics are refused."""

    @abstractmethod
    def append(self, records: Records, partition: int) -> Future[Appended]:
        """Appends outside any transaction; done when the bytes are on disk.

        What is larger than one batch may be stored in part if it fails: transactions are all or nothing.
        """

    def append_synced(self, records: Records, partition: int) -> Appended:
        """As ``append``, for who does nothing before the bytes are on disk: the hub may use the caller's thread."""
        return self.append(records, partition).result()

    @abstractmethod
    def read(
        self,
        topic: str,
        partition: int,
        offset: int,
        *,
        max_bytes: int,
        committed: bool = True,
        want_headers: bool = True,
    ) -> Fetched:
        """Records from ``offset`` on: at least one batch if one is visible, about ``max_bytes`` at most.

        ``committed`` hides open and aborted transactions. At the end it returns an empty range. Who does not
        ``want_headers`` may get records without them.
        Raises ``OffsetOutOfRange`` below the log start or above the end.
        """

    @abstractmethod
    def wait(self, positions: Mapping[TopicPartition, int], timeout_ms: int) -> bool:
        """Blocks until one of the partitions has something visible at or after its position (true)."""

    @abstractmethod
    def start_offset(self, topic: str, partition: int) -> int:
        """The first offset that is still there."""

    @abstractmethod
    def end_offset(self, topic: str, partition: int, *, committed: bool = True) -> int:
        """The first offset that a reader cannot see yet: last stable offset, or high watermark."""

    @abstractmethod
    def offset_for_time(self, topic: str, partition: int, timestamp_ms: int) -> int | None:
        """The first offset whose timestamp is at or after ``timestamp_ms``; None if there is none."""

    @abstractmethod
    def delete_records(self, topic: str, partition: int, before_offset: int) -> None:
        """Moves the log start to ``before_offset``."""

    @abstractmethod
    def register_writer(self, name: str) -> Writer:
        """A new epoch for ``name``: fences older ones and aborts what they left open. Durable on return."""

    @abstractmethod
    def transaction(self, writer: Writer) -> HubTransaction:
        """Begins. Raises ``Fenced`` if ``writer`` is not the newest of its name."""

    @abstractmethod
    def positions(self, owner: str) -> Mapping[str, Mapping[str, Any]]:
        """The committed positions of ``owner`` (a source, or a sink's dead letters), by stream."""

    @abstractmethod
    def position_owners(self) -> Sequence[str]:
        """All owners with committed positions."""

    @abstractmethod
    def commit_group(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Reports how far a group has come. On disk within 50 ms."""

    @abstractmethod
    def group_offsets(self, group: str) -> Mapping[TopicPartition, int]:
        """What was last reported; empty for an unknown group."""

    @abstractmethod
    def groups(self) -> Sequence[str]:
        """All groups with offsets."""

    @abstractmethod
    def delete_group(self, group: str) -> None:
        """Forgets a group's offsets."""

    @abstractmethod
    def hold_retention(self, holder: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Retention keeps everything at or after ``offsets`` for ``holder`` (a registered sink), until told
        otherwise; an empty mapping releases. Survives restarts."""

    @abstractmethod
    def retention_holds(self) -> Mapping[str, Mapping[TopicPartition, int]]:
        """What each holder keeps from retention."""

    @abstractmethod
    def compacted(self, topic: str) -> Iterable[tuple[bytes, bytes]]:
        """The latest value of each key of an internal compacted topic, tombstones left out."""

    @abstractmethod
    def close(self) -> None:
        """Stops, syncs, and marks a clean shutdown. Waiting calls raise ``Closed``. Idempotent."""
