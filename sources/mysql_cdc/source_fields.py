"""The part ``source`` of a change: where in the server's log it comes from. Debezium's names, in its order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ingest.sources.databases.tables import TableInfo

_FIELDS = [
    pa.field("version", pa.string()),
    pa.field("connector", pa.string()),
    pa.field("name", pa.string()),
    pa.field("ts_ms", pa.int64()),
    pa.field("snapshot", pa.string()),
    pa.field("db", pa.string()),
    pa.field("sequence", pa.string()),
    pa.field("table", pa.string()),
    pa.field("server_id", pa.int64()),
    pa.field("gtid", pa.string()),
    pa.field("file", pa.string()),
    pa.field("pos", pa.int64()),
    pa.field("row", pa.int32()),
    pa.field("thread", pa.int64()),
    pa.field("query", pa.string()),
]


@dataclass(frozen=True, slots=True)
class Origins:
    """Of *n* changes: when and where each stands in the log, its number in its event, its transaction."""

    time_s: np.ndarray
    server: np.ndarray
    position: np.ndarray
    row: np.ndarray
    gtid: pa.Array


@dataclass(frozen=True, slots=True)
class SourceFields:
    """What is the same for all changes of a source."""

    version: str
    connector: str
    name: str

    def of_changes(self, table: TableInfo, file: str, origins: Origins) -> pa.StructArray:
        """Of changes in the stream."""
        return self._struct(
            table,
            pa.array(origins.time_s * 1000),
            _repeated("false", len(origins.row)),
            pa.array(origins.server),
            origins.gtid,
            file,
            pa.array(origins.position),
            pa.array(origins.row.astype(np.int32)),
        )

    def of_rows(self, table: TableInfo, ts_ms: int, snapshot: pa.Array, file: str, position: int) -> pa.StructArray:
        """Of rows that a snapshot has read; Debezium's server is 0 there."""
        count = len(snapshot)
        zeros = _repeated(0, count)
        gtid = pa.nulls(count, pa.string())
        positions, rows = _repeated(position, count), zeros.cast(pa.int32())
        return self._struct(table, _repeated(ts_ms, count), snapshot, zeros, gtid, file, positions, rows)

    def _struct(
        self,
        table: TableInfo,
        ts_ms: pa.Array,
        snapshot: pa.Array,
        server: pa.Array,
        gtid: pa.Array,
        file: str,
        position: pa.Array,
        row: pa.Array,
    ) -> pa.StructArray:
        count = len(row)
        columns = [
            _repeated(self.version, count),
            _repeated(self.connector, count),
            _repeated(self.name, count),
            ts_ms,
            snapshot,
            _repeated(table.schema, count),
            pa.nulls(count, pa.string()),
            _repeated(table.name, count),
            server,
            gtid,
            _repeated(file, count),
            position,
            row,
            pa.nulls(count, pa.int64()),
            pa.nulls(count, pa.string()),
        ]
        return pa.StructArray.from_arrays(columns, fields=_FIELDS)


def _repeated(value: str | int, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value), count)
