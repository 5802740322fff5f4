"""What an append will do, worked out and checked before a byte is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ingest.errors import CorruptBatch, RecordInvalid, SequenceOutOfOrder, TooLarge
from ingest.log.batch_walk import LARGEST_BATCH_BYTES
from ingest.log.producer_entry import AppendedBatch
from ingest.log.producer_state import ProducerState, ProducerUpdate
from ingest.log.segment import PlacedBatch
from ingest.log.topic_config import TopicConfig
from ingest.wire.batch import BatchHeader, check_crc, place, stamp_log_append_time, whole_batches
from ingest.wire.control import decode_marker

Kind = Literal["client", "marker", "raw"]
# Positions in a segment are int32, and one append goes to one segment.
LARGEST_APPEND_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class AppendInfo:
    """Where an append went. A ``duplicate`` was on the log already, at these offsets.

    ``cuts`` is the log's count of cuts at the time: see ``PartitionLog.is_cut``.
    """

    base_offset: int
    last_offset: int
    max_timestamp: int
    duplicate: bool = False
    cuts: int = 0


@dataclass(frozen=True, slots=True)
class AppendRules:
    """What the caller vouches for.

    ``client``: nothing; size, times and sequences are checked, control batches refused. ``raw``: batches that
    the hub made itself; only epochs are checked, and sequences if there are any. ``marker``: ends of
    transactions.
    """

    kind: Kind
    check_crc: bool
    config: TopicConfig
    now_ms: int


class AppendPlan:
    """The checked batches of one append, with the offsets that they will get."""

    def __init__(self, buffer: bytearray | memoryview, state: ProducerState, log_end: int, rules: AppendRules) -> None:
        self.update: ProducerUpdate = state.update()
        self.batches: list[PlacedBatch] = []
        self.duplicates: list[AppendedBatch] = []
        self.base_offset = self.next_offset = log_end
        self.max_timestamp = -1
        self._rules = rules
        self._buffer = buffer
        self._read()

    def duplicate(self, cuts: int) -> AppendInfo | None:
        """Where the batches stand already, if all of them are retries."""
        if not self.duplicates:
            return None
        if self.batches:
            raise SequenceOutOfOrder("one append mixes retried batches with new ones")
        first, last = self.duplicates[0].first_offset, self.duplicates[-1].last_offset
        latest = max(batch.timestamp_ms for batch in self.duplicates)
        return AppendInfo(first, last, latest, duplicate=True, cuts=cuts)

    def info(self, cuts: int) -> AppendInfo:
        return AppendInfo(self.base_offset, self.next_offset - 1, self.max_timestamp, cuts=cuts)

    def place(self, leader_epoch: int) -> None:
        """Patches offsets and epoch into the buffer: everything was checked, the write comes next."""
        base_offset = self.base_offset
        stamp = self._rules.config.message_timestamp_type == "LogAppendTime" and self._rules.kind != "marker"
        for number, batch in enumerate(self.batches):
            place(self._buffer, batch.position, base_offset, leader_epoch)
            if stamp:
                stamp_log_append_time(self._buffer, batch.position, self._rules.now_ms)
                self.batches[number] = batch._replace(max_timestamp=self._rules.now_ms)
                self.max_timestamp = self._rules.now_ms
            base_offset = batch.last_offset + 1

    def _read(self) -> None:
        end = 0
        if len(self._buffer) > LARGEST_APPEND_BYTES:
            raise TooLarge(f"an append of {len(self._buffer)} bytes; the limit is {LARGEST_APPEND_BYTES}")
        for position, header in whole_batches(self._buffer):
            self._add(position, header)
            end = position + header.size_bytes
        if end != len(self._buffer) or not end:
            raise CorruptBatch(f"an append of {len(self._buffer)} bytes is no row of whole batches", position=end)

    def _add(self, position: int, header: BatchHeader) -> None:
        rules = self._rules
        if rules.check_crc:
            check_crc(self._buffer, header, position)
        if header.size_bytes > LARGEST_BATCH_BYTES:
            raise TooLarge(f"a batch of {header.size_bytes} bytes; the limit is {LARGEST_BATCH_BYTES}")
        if rules.kind == "marker":
            self._add_marker(position, header)
        elif not self._is_duplicate(header):
            if header.producer_id >= 0:
                self.update.add_data(header, self.next_offset, rules.now_ms)
            self._append(position, header)

    def _is_duplicate(self, header: BatchHeader) -> bool:
        rules = self._rules
        if rules.kind == "client":
            check_client_batch(header, rules.config, rules.now_ms)
        if header.producer_id < 0:
            return False
        sequenced = rules.kind == "client" or header.base_sequence >= 0
        earlier = self.update.check(header, sequenced=sequenced)
        if earlier is not None:
            self.duplicates.append(earlier)
        return earlier is not None

    def _add_marker(self, position: int, header: BatchHeader) -> None:
        marker = decode_marker(self._buffer, header, position)
        self.update.check_marker(header)
        self.update.add_marker(header, marker, self.next_offset, self._rules.now_ms)
        self._append(position, header)

    def _append(self, position: int, header: BatchHeader) -> None:
        last_offset = self.next_offset + header.last_offset_delta
        self.batches.append(PlacedBatch(position, header.size_bytes, last_offset, header.max_timestamp))
        self.next_offset = last_offset + 1
        self.max_timestamp = max(self.max_timestamp, header.max_timestamp)


def check_client_batch(header: BatchHeader, config: TopicConfig, now_ms: int) -> None:
    """Raises for what the topic's settings, or the log, take from no client."""
    if header.size_bytes > config.max_message_bytes:
        raise TooLarge(
            f"a batch of {header.size_bytes} bytes; max.message.bytes of the topic is {config.max_message_bytes}",
            hint="send smaller batches, or raise max.message.bytes",
        )
    if header.is_control:
        raise RecordInvalid("a client sent a control batch", hint="markers are written by the hub only")
    if header.record_count != header.last_offset_delta + 1:
        raise RecordInvalid(f"a batch of {header.record_count} records claims {header.last_offset_delta + 1} offsets")
    if header.producer_id >= 0 and header.base_sequence < 0:
        raise RecordInvalid(f"producer {header.producer_id} sent a batch without a sequence")
    if config.message_timestamp_type == "CreateTime":
        _check_time(header, config, now_ms)


def _check_time(header: BatchHeader, config: TopicConfig, now_ms: int) -> None:
    if header.max_timestamp - now_ms > config.message_timestamp_after_max_ms:
        raise RecordInvalid(
            f"a record's time is {header.max_timestamp - now_ms} ms ahead of the clock",
            hint="message.timestamp.after.max.ms of the topic says how far is allowed",
        )
    # Records without a time (-1) are allowed, as Kafka allows them.
    oldest = now_ms - config.message_timestamp_before_max_ms
    if 0 <= header.base_timestamp < oldest and header.max_timestamp < oldest:
        raise RecordInvalid(
            f"a record's time is {now_ms - header.max_timestamp} ms behind the clock",
            hint="message.timestamp.before.max.ms of the topic says how far is allowed",
        )
