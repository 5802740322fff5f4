"""The part ``source`` of a change: where in the database it comes from. Debezium's names, in its order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.sources.databases.tables import TableInfo

CONNECTOR = "postgresql"
_FIELDS = [
    pa.field("version", pa.string()),
    pa.field("connector", pa.string()),
    pa.field("name", pa.string()),
    pa.field("ts_ms", pa.int64()),
    pa.field("snapshot", pa.string()),
    pa.field("db", pa.string()),
    pa.field("sequence", pa.string()),
    pa.field("schema", pa.string()),
    pa.field("table", pa.string()),
    pa.field("txId", pa.int64()),
    pa.field("lsn", pa.int64()),
    pa.field("xmin", pa.int64()),
]


@dataclass(frozen=True, slots=True)
class SourceFields:
    """What is the same for all changes of a source."""

    version: str
    name: str
    database: str

    def of_changes(
        self, table: TableInfo, ts_ms: np.ndarray, lsn: np.ndarray, before: np.ndarray, xid: np.ndarray
    ) -> pa.StructArray:
        """Of changes in the stream; ``before`` is where the transaction before each one ended (0: not known)."""
        last = pc.if_else(pa.array(before == 0), "null", _quoted(before))
        sequence = pc.binary_join_element_wise("[", pc.binary_join_element_wise(last, _quoted(lsn), ","), "]", "")
        return self._struct(
            table, pa.array(ts_ms), _repeated("false", len(lsn)), sequence, pa.array(xid), pa.array(lsn)
        )

    def of_rows(self, table: TableInfo, ts_ms: int, snapshot: pa.Array, lsn: int) -> pa.StructArray:
        """Of rows that a snapshot has read."""
        count = len(snapshot)
        sequence = _repeated(f'[null,"{lsn}"]', count)
        xid = pa.nulls(count, pa.int64())
        return self._struct(table, _repeated(ts_ms, count), snapshot, sequence, xid, _repeated(lsn, count))

    def _struct(
        self, table: TableInfo, ts_ms: pa.Array, snapshot: pa.Array, sequence: pa.Array, xid: pa.Array, lsn: pa.Array
    ) -> pa.StructArray:
        count = len(lsn)
        columns = [
            _repeated(self.version, count),
            _repeated(CONNECTOR, count),
            _repeated(self.name, count),
            ts_ms,
            snapshot,
            _repeated(self.database, count),
            sequence,
            _repeated(table.schema, count),
            _repeated(table.name, count),
            xid,
            lsn,
            pa.nulls(count, pa.int64()),
        ]
        return pa.StructArray.from_arrays(columns, fields=_FIELDS)


def _quoted(numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise('"', pa.array(numbers).cast(pa.string()), '"', "")


def _repeated(value: str | int, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string() if isinstance(value, str) else pa.int64()), count)
