"""Changes of a table as columns, and the envelope in which they travel.

The envelope is Debezium's: ``before``, ``after``, ``source``, ``op``, ``ts_ms``, ``transaction``; ``op`` is ``c`` (an
insert), ``u``, ``d``, ``r`` (read by a snapshot) or ``t`` (truncate). A delete is followed by a tombstone; an update of
the key is a delete, its tombstone and an insert, so that a topic that is compacted by key ends as the table does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import Origin, Records
from ingest.formats.json_codec import encode
from ingest.sources.databases.tables import TableInfo

Envelope = Literal["debezium", "flat"]

TRANSACTION = pa.struct([("id", pa.string()), ("total_order", pa.int64()), ("data_collection_order", pa.int64())])
UNAVAILABLE = "__debezium_unavailable_value"
"""Stands in text and binary columns for a value that the server did not send, as an update had not touched it."""

_DELETE, _TOMBSTONE, _INSERT = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Changes:
    """*n* changes of one table, in their order; all columns have *n* rows.

    ``before`` and ``after`` are structs of the table's columns, null where there is none; ``op`` is a string;
    ``source`` a struct of what the database tells about the change; ``ts_ms`` (int64) when it was read.
    ``key`` names the columns that identify a row; without any, records have no key and no tombstones follow.
    """

    table: TableInfo
    op: pa.Array
    before: pa.StructArray
    after: pa.StructArray
    source: pa.StructArray
    ts_ms: pa.Array
    transaction: pa.StructArray | None = None

    def __len__(self) -> int:
        return len(self.op)


def records_of(
    changes: Changes,
    *,
    source: str,
    topic: str,
    envelope: Envelope = "debezium",
    tombstones: bool = True,
    stream: str = "",
) -> Records:
    """The records of these changes. ``source`` is the source's name; ``topic`` may hold ``{schema}`` and ``{table}``;
    ``stream`` is the one whose position they move, where that is not the table's.

    ``flat`` gives the row (of a delete, what was known of it) with ``__op``, ``__deleted``, ``__source``, ``__ts_ms``.
    """
    keys = _keys_of(changes)
    rows, parts = _laid_out(changes, keys, tombstones)
    build = _debezium if envelope == "debezium" else _flat
    value = build(changes, rows, parts)
    return Records(
        value=value,
        key=None if keys is None else _chosen_keys(keys, rows, parts),
        topic=changes.table.topic(topic),
        stream=stream or changes.table.stream,
        origin=Origin(source, changes.table.stream),
    )


@dataclass(frozen=True, slots=True)
class _Keys:
    old: pa.Array
    new: pa.Array
    changed: np.ndarray


def _keys_of(changes: Changes) -> _Keys | None:
    if not changes.table.key:
        return None
    new = _key(changes.after, changes.table.key)
    if changes.before.null_count == len(changes):
        return _Keys(pa.nulls(len(changes), new.type), new, np.zeros(len(changes), bool))
    old = _key(changes.before, changes.table.key)
    update = pc.equal(changes.op, "u")
    differs = pc.fill_null(pc.not_equal(old, new), False)
    return _Keys(old, new, pc.and_(update, differs).to_numpy(zero_copy_only=False))


def _key(row: pa.StructArray, names: Sequence[str]) -> pa.Array:
    """JSON of the key's columns; null where there is no row."""
    kind = pa.struct([row.type.field(name) for name in names])
    columns = [pc.struct_field(row, name) for name in names]
    encoded, _ = encode(pa.StructArray.from_arrays(columns, fields=list(kind), mask=pc.is_null(row)))
    return encoded


def _laid_out(changes: Changes, keys: _Keys | None, tombstones: bool) -> tuple[np.ndarray, np.ndarray]:
    """For each record the change it is of, and which part of it: 0 is the change as it is."""
    count = len(changes)
    if keys is None:
        return np.arange(count), np.zeros(count, np.int8)
    deleted = pc.equal(changes.op, "d").to_numpy(zero_copy_only=False)
    more = (1 if tombstones else 0) * (deleted | keys.changed) + keys.changed
    rows = np.repeat(np.arange(count), 1 + more)
    first = np.cumsum(1 + more) - (1 + more)
    within = np.arange(len(rows)) - first[rows]
    split = keys.changed[rows]
    parts = np.zeros(len(rows), np.int8)
    parts[split & (within == 0)] = _DELETE
    parts[(within == 1) & (deleted[rows] | split) & tombstones] = _TOMBSTONE
    parts[split & (within == more[rows]) & (within > 0)] = _INSERT
    return rows, parts


def _chosen_keys(keys: _Keys, rows: np.ndarray, parts: np.ndarray) -> pa.Array:
    places = pa.array(rows)
    old, new = keys.old.take(places), keys.new.take(places)
    of_old = pa.array((parts == _DELETE) | (parts == _TOMBSTONE))
    return pc.if_else(of_old, pc.coalesce(old, new), pc.coalesce(new, old))


def _debezium(changes: Changes, rows: np.ndarray, parts: np.ndarray) -> pa.StructArray:
    changes = _repeated(changes, rows)
    op, before, after = _sides(changes, parts)
    columns = {"before": before, "after": after, "source": changes.source, "op": op, "ts_ms": changes.ts_ms}
    if changes.transaction is not None:
        columns["transaction"] = changes.transaction
    return _struct(columns, parts)


def _flat(changes: Changes, rows: np.ndarray, parts: np.ndarray) -> pa.StructArray:
    changes = _repeated(changes, rows)
    op, before, after = _sides(changes, parts)
    row = pc.if_else(pc.is_null(after), before, after)
    columns = {field.name: pc.struct_field(row, field.name) for field in row.type}
    columns |= {
        "__op": op,
        "__deleted": pc.equal(op, "d"),
        "__source": changes.source,
        "__ts_ms": changes.ts_ms,
    }
    return _struct(columns, parts)


def _repeated(changes: Changes, rows: np.ndarray) -> Changes:
    """The change of each record; mostly they are as many."""
    if len(rows) == len(changes):
        return changes
    places = pa.array(rows)
    return Changes(
        changes.table,
        changes.op.take(places),
        changes.before.take(places),
        changes.after.take(places),
        changes.source.take(places),
        changes.ts_ms.take(places),
        None if changes.transaction is None else changes.transaction.take(places),
    )


def _sides(changes: Changes, parts: np.ndarray) -> tuple[pa.Array, pa.Array, pa.Array]:
    op, before, after = changes.op, changes.before, changes.after
    if not parts.any():
        return op, before, after
    deleted, inserted = pa.array(parts == _DELETE), pa.array(parts == _INSERT)
    op = pc.if_else(deleted, "d", pc.if_else(inserted, "c", op))
    return op, _blank(before, inserted), _blank(after, deleted)


def _blank(rows: pa.StructArray, where: pa.Array) -> pa.StructArray:
    mask = pc.or_(pc.is_null(rows), where)
    return pa.StructArray.from_arrays(
        [pc.struct_field(rows, field.name) for field in rows.type], fields=list(rows.type), mask=mask
    )


def _struct(columns: dict[str, pa.Array], parts: np.ndarray) -> pa.StructArray:
    mask = pa.array(parts == _TOMBSTONE) if (parts == _TOMBSTONE).any() else None
    fields = [pa.field(name, column.type) for name, column in columns.items()]
    return pa.StructArray.from_arrays(list(columns.values()), fields=fields, mask=mask)
