"""What compaction leaves of a batch: all of it, some of its records, its header alone, or nothing.

A record stays if it is the last of its key, or has none. A tombstone or a marker that nobody needs stays
for ``delete.retention.ms`` longer, so that readers who are behind see it: when it is first met its batch is
stamped with the time at which it may go (the delete horizon, KIP-534).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.log.key_table import KeyTable
from ingest.log.transaction_cleaner import TransactionCleaner
from ingest.wire.batch import CONTROL, BatchHeader, read_header, write_header
from ingest.wire.codec import decode_batch, encode_batch
from ingest.wire.columns import RecordColumns
from ingest.wire.control import decode_marker


@dataclass(frozen=True, slots=True)
class Read:
    """A batch on its way through; ``columns`` is None if its records need no look."""

    header: BatchHeader
    content: bytes
    columns: RecordColumns | None
    doomed: bool = False


class BatchCleaner:
    """One pass over the log. ``table`` knows the keys of all batches before ``known_until``; ``last_offsets`` says for
    each producer where its last batch ends."""

    def __init__(
        self,
        table: KeyTable,
        known_until: int,
        transactions: TransactionCleaner,
        last_offsets: dict[int, int],
        now_ms: int,
        delete_retention_ms: int,
    ) -> None:
        self._table = table
        self._known_until = known_until
        self._transactions = transactions
        self._last_offsets = last_offsets
        self._now_ms = now_ms
        self._horizon_ms = now_ms + delete_retention_ms

    def read(self, header: BatchHeader, content: bytes) -> Read:
        """Called for each batch in the order of the log; ``clean`` may then see many at once."""
        if header.is_control:
            marker = decode_marker(content, header) if header.record_count else None
            return Read(header, content, None, self._transactions.spent(header, marker))
        if self._transactions.drops_data(header) or not header.record_count:
            return Read(header, content, None, doomed=True)
        return Read(header, content, decode_batch(content, header))

    def clean(self, batches: list[Read]) -> list[bytes | bytearray]:
        """What is left of each batch that leaves something."""
        latest = self._latest([batch.columns for batch in batches if batch.columns is not None])
        left, row = [], 0
        for batch in batches:
            if batch.columns is None:
                kept = self._control(batch) if batch.header.is_control else self._emptied(batch)
            else:
                kept = self._thinned(batch, batch.columns, latest[row : row + len(batch.columns)])
                row += len(batch.columns)
            if kept is not None:
                left.append(kept)
        return left

    def _latest(self, columns: list[RecordColumns]) -> Any:
        keys = [_keys(each).cast(pa.large_binary()) for each in columns]
        return self._table.last_offsets(pa.concat_arrays(keys)) if keys else np.empty(0, np.int64)

    def _thinned(self, batch: Read, columns: RecordColumns, latest: Any) -> bytes | bytearray | None:
        header, offsets = batch.header, columns.offsets
        assert offsets is not None
        keep = offsets >= latest
        tombstones = np.asarray(columns.values.is_null()) & np.asarray(_keys(columns).is_valid())
        horizon = header.delete_horizon_ms
        # Where the table does not reach, what a tombstone deletes may still be there.
        known = header.last_offset < self._known_until
        if known and horizon is not None and horizon <= self._now_ms:
            keep &= ~tombstones
        if not keep.any():
            return self._emptied(batch)
        stamp = self._horizon_ms if horizon is None and (keep & tombstones).any() else None
        if keep.all() and stamp is None:
            return batch.content
        return rebuilt(header, columns, keep, stamp)

    def _control(self, batch: Read) -> bytes | bytearray | None:
        header = batch.header
        if not batch.doomed:
            return batch.content
        horizon = header.delete_horizon_ms
        if not header.record_count or (horizon is not None and horizon <= self._now_ms):
            return self._emptied(batch)
        if horizon is not None:
            return batch.content
        columns = decode_batch(batch.content, header)
        return rebuilt(header, columns, np.ones(len(columns), np.bool_), self._horizon_ms)

    def _emptied(self, batch: Read) -> bytes | bytearray | None:
        """The header alone, if it is the last that tells where a producer's sequence stands."""
        header = batch.header
        if header.producer_id < 0 or self._last_offsets.get(header.producer_id) != header.last_offset:
            return None
        if not header.record_count:
            return batch.content
        columns = decode_batch(batch.content, header)
        return rebuilt(header, columns, np.zeros(len(columns), np.bool_), None)


def rebuilt(
    header: BatchHeader, columns: RecordColumns, keep: npt.NDArray[np.bool_], delete_horizon_ms: int | None
) -> bytearray:
    """The batch with only the records that ``keep`` marks. It covers the same offsets and sequences as before."""
    assert columns.offsets is not None
    batch = encode_batch(
        RecordColumns(
            values=columns.values.filter(pa.array(keep)),
            timestamps=columns.timestamps[keep],
            keys=None if columns.keys is None else columns.keys.filter(pa.array(keep)),
            headers=None if columns.headers is None else columns.headers.filter(pa.array(keep)),
            offsets=columns.offsets[keep],
        ),
        base_offset=header.base_offset,
        last_offset_delta=header.last_offset_delta,
        compression=header.codec if keep.any() else "none",
        leader_epoch=header.leader_epoch,
        producer_id=header.producer_id,
        producer_epoch=header.producer_epoch,
        base_sequence=header.base_sequence,
        transactional=header.is_transactional,
        log_append_time=header.log_append_time,
        delete_horizon_ms=header.delete_horizon_ms if delete_horizon_ms is None else delete_horizon_ms,
    )
    if header.is_control:
        made = read_header(batch)
        write_header(batch, replace(made, attributes=made.attributes | CONTROL))
    return batch


def _keys(columns: RecordColumns) -> Any:
    return pa.nulls(len(columns), pa.binary()) if columns.keys is None else columns.keys
