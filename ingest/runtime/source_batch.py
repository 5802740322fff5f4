"""From what a source polled to what one hub transaction appends.

Transforms, keys, the choice of partition, and encoding; every row that is refused on the way is traced back to
the polled row, whose own bytes become the dead letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import TIMESTAMP, Polled, Position, Records
from ingest.errors import RecordRefused, TopicInvalid
from ingest.runtime import dead_letters
from ingest.runtime.partitioning import Partitioner
from ingest.runtime.plan import SourcePlan
from ingest.runtime.row_expressions import RowExpressions
from ingest.runtime.task_setting import TaskSetting
from ingest.runtime.topics import BATCH_OVERHEAD_BYTES, common_headers_size, max_message_bytes, record_sizes
from ingest.runtime.transform_chain import Refusal, States, TransformChain, refusal_of

_SPARE_BYTES = BATCH_OVERHEAD_BYTES // 2
_ONE_BATCH_BYTES = 512 * 1024
_RECORD_OVERHEAD_BYTES = 64
MAX_AHEAD_MS = 3_600_000
"""How far a parsed time may lie ahead of the clock and still be the record's timestamp."""


class Append(NamedTuple):
    """Encoded records for one partition, and the index in ``Polled.records`` of those that they were made from;
    whether they surely fit into one record batch."""

    records: Records
    partition: int
    polled: int
    is_one_batch: bool


@dataclass(slots=True)
class SourceBatch:
    """One transaction's worth: encoded records by partition, dead letters, positions.

    ``taken`` counts the rows that were polled, refused ones included; each is one of ``written``, ``filtered``
    or in ``dead``.
    """

    appends: list[Append] = field(default_factory=list)
    dead: list[Records] = field(default_factory=list)
    positions: Mapping[str, Position | None] = field(default_factory=dict)
    stored: dict[str, Mapping[str, Any] | None] = field(default_factory=dict)
    taken: int = 0
    written: int = 0
    filtered: int = 0
    size_bytes: int = 0
    stateless: bool = False

    @property
    def needs_no_transaction(self) -> bool:
        """Whether it is nothing but one record batch, which is stored whole or not at all anyway."""
        alone = self.stateless and len(self.appends) == 1 and not (self.dead or self.stored)
        return alone and self.appends[0].is_one_batch


class SourceBatches:
    """Makes batches for one task of a source; remembers the transforms' states of its streams."""

    def __init__(self, setting: TaskSetting, source: SourcePlan, chain: TransformChain, rows: RowExpressions):
        self._setting = setting
        self._source = source
        self._chain = chain
        self._rows = rows
        self._partitioner = Partitioner()
        self._states: dict[str, States] = {}
        self._origin = {"pipeline": setting.plan.pipeline, "source": source.name}

    def resume(self, stored: Mapping[str, Mapping[str, Any]]) -> dict[str, Position]:
        """Takes up the states committed in the hub; returns the source's own positions."""
        self._states = {
            stream: self._chain.restored(content.get("transforms", ())) for stream, content in stored.items()
        }
        return {stream: content["position"] for stream, content in stored.items()}

    def make(self, polled: Polled) -> SourceBatch:
        """Raises ``RecordRefused`` for the first bad record if the pipeline tolerates none."""
        batch = SourceBatch(positions=polled.positions, stateless=polled.stateless)
        for dead in polled.dead:
            if len(dead.records):
                self._tolerate(dead.records, 0, dead.stage, dead.reasons[0])
                batch.taken += len(dead.records)
                batch.size_bytes += dead.records.nbytes
                batch.dead.append(dead_letters.of_dead_records(dead, self._origin))
        for number, records in enumerate(polled.records):
            if len(records):
                self._add(records, number, batch)
        batch.stored = self._contents(polled.positions)
        return batch

    def add_positions(self, batch: SourceBatch, positions: Mapping[str, Position | None]) -> None:
        """Positions that are known only after the records were appended."""
        if positions:
            batch.positions = {**batch.positions, **positions}
            batch.stored |= self._contents(positions)

    def _contents(self, positions: Mapping[str, Position | None]) -> dict[str, Mapping[str, Any] | None]:
        return {stream: self._content(stream, position) for stream, position in positions.items()}

    def _content(self, stream: str, position: Position | None) -> Mapping[str, Any] | None:
        if position is None:
            self._states.pop(stream, None)
            return None
        return {"position": position, "transforms": list(self._states.get(stream, ()))}

    def _add(self, entered: Records, number: int, batch: SourceBatch) -> None:
        batch.taken += len(entered)
        batch.size_bytes += entered.nbytes
        named = entered if entered.topic else replace(entered, topic=self._source.topic)
        result = self._chain.apply(named, self._states.get(entered.stream, ()))
        self._states[entered.stream] = result.states
        batch.filtered += result.filtered
        refused = list(result.refused)
        for records in result.records:
            refused += self._encode(records, number, batch)
        for refusal in refused:
            self._tolerate(entered, refusal.rows[0].as_py(), refusal.stage, refusal.reasons[0])
            batch.dead.append(dead_letters.of_refusal(entered, refusal, self._origin))

    def _encode(self, records: Records, number: int, batch: SourceBatch) -> list[Refusal]:
        try:
            info = self._setting.topics.for_writing(records.topic, records.value.type, records.format)
        except TopicInvalid as error:
            return [Refusal(records.rows, [error.message] * len(records), "route", "TopicInvalid")]
        records, refused = self._rows.apply(records)
        if not len(records):
            return refused
        records = self._stamped(records)
        for partition, part in self._partitioner.split(records, info.partitions):
            encoded = self._setting.topics.encode(part)
            unfit = [refusal_of(part, rejected, "format") for rejected in encoded.rejected if len(rejected.rows)]
            limit = max_message_bytes(info)
            fitting, too_large = _without_large(encoded.records, limit)
            unfit += too_large
            refused += unfit
            batch.written += len(part) - sum(len(refusal.rows) for refusal in unfit)
            if len(fitting):
                batch.appends.append(Append(fitting, partition, number, _is_one_batch(fitting, limit)))
        return refused

    def _stamped(self, records: Records) -> Records:
        """Timestamps that are missing, or lie too far ahead, become the time of arrival."""
        if records.timestamp is None:
            return records
        now_ms = self._setting.environment.clock.now_ms()
        stamps = records.timestamp.cast(TIMESTAMP, safe=False)
        highest = pc.max(stamps.cast(pa.int64())).as_py()
        if not stamps.null_count and highest <= now_ms + MAX_AHEAD_MS:
            return replace(records, timestamp=stamps)
        plausible = pc.less_equal(stamps, pa.scalar(now_ms + MAX_AHEAD_MS, pa.int64()).cast(TIMESTAMP))
        arrival = pa.scalar(now_ms, pa.int64()).cast(TIMESTAMP)
        return replace(records, timestamp=pc.if_else(pc.fill_null(plausible, False), stamps, arrival))

    def _tolerate(self, entered: Records, row: int, stage: str, reason: str) -> None:
        if self._setting.tolerates:
            return
        place = dead_letters.where(entered, row)
        raise RecordRefused(
            f"{place}: {stage}: {reason}",
            hint="set errors.tolerance to dead-letter to keep such records apart and go on",
            source=self._source.name,
            stage=stage,
        )


def _without_large(records: Records, limit: int) -> tuple[Records, Sequence[Refusal]]:
    """Takes out records that are too large because of their key or headers; formats look at values only."""
    plain = records.key is None and records.headers is None and common_headers_size(records) < _SPARE_BYTES
    if plain or records.rows is None or not len(records):
        return records, ()
    sizes = record_sizes(records).to_numpy(zero_copy_only=False) + BATCH_OVERHEAD_BYTES
    large = sizes > limit
    if not large.any():
        return records, ()
    places = pa.array(np.flatnonzero(large))
    reasons = [f"the record takes {sizes[place]} bytes, and the topic takes {limit}" for place in np.flatnonzero(large)]
    refusal = Refusal(records.rows.take(places), reasons, "format", "TooLarge")
    return records.filter(pa.array(~large)), [refusal]


def _is_one_batch(records: Records, limit: int) -> bool:
    each = _RECORD_OVERHEAD_BYTES + common_headers_size(records)
    room = min(limit, _ONE_BATCH_BYTES) - len(records) * each - BATCH_OVERHEAD_BYTES
    return records.buffer_bytes <= room or records.nbytes <= room
