"""Records as steps: rows as they are, or changes in Debezium's envelope or the flat form.

In the envelope ``after`` is written for ``c``, ``u`` and ``r``; ``d`` deletes the key of ``before``; ``t`` deletes all
rows; an update that has changed the key deletes the old one first. In the flat form ``__op`` and ``__deleted`` tell. A
tombstone deletes the row that the record's key names.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import Records
from ingest.sinks.changes.record_keys import key_columns
from ingest.sinks.changes.rows import Rows, origin_of
from ingest.sinks.changes.steps import Steps

_ENVELOPE = {"before", "after", "op"}
_FLAT = {"__op", "__deleted"}

Refused = list[tuple[int, str]]
"""Records that cannot be understood, by their place, and why."""


def image_type(records: Records, *, changes: bool) -> pa.StructType:
    """The columns of the rows in these records; none for a batch of tombstones only."""
    kind = records.value.type
    if not pa.types.is_struct(kind):
        return pa.struct([]) if pa.types.is_null(kind) else pa.struct([("value", kind)])
    if changes and {field.name for field in kind} >= _ENVELOPE:
        after, before = kind.field("after").type, kind.field("before").type
        return after if pa.types.is_struct(after) else before if pa.types.is_struct(before) else pa.struct([])
    return pa.struct([field for field in kind if not (changes and field.name.startswith("__"))])


def steps_of(
    records: Records, place: int, key: Sequence[str], *, changes: bool, columns: pa.Schema | None = None
) -> tuple[Steps, Refused]:
    """``key`` may be empty where nothing can be deleted; ``changes``: envelopes are opened. ``columns`` are what the
    target is known to have: the types of keys of which no row has come."""
    reading = _Reading(records, key, image_type(records, changes=changes), columns)
    if changes and pa.types.is_struct(records.value.type):
        names = {field.name for field in records.value.type}
        if names >= _ENVELOPE:
            return reading.envelope(place)
        if names & _FLAT:
            return reading.flat(place)
    return reading.plain(place)


class _Reading:
    """The records of one batch."""

    def __init__(self, records: Records, key: Sequence[str], image: pa.StructType, known: pa.Schema | None) -> None:
        self._records = records
        self._known = known
        self._value = records.value
        self._key = [name for name in key if image.get_field_index(name) >= 0 or not image.num_fields]
        self._image = image
        self._tombstone = _mask(pc.is_null(self._value))

    def plain(self, place: int) -> tuple[Steps, Refused]:
        rows = self._value
        if not pa.types.is_struct(rows.type):
            rows = pa.StructArray.from_arrays([rows], names=["value"])
        return self._steps(place, rows, self._tombstone.copy(), np.zeros(len(rows), bool))

    def flat(self, place: int) -> tuple[Steps, Refused]:
        columns = {name: self._column(name) for name in self._image.names}
        rows = pa.StructArray.from_arrays(list(columns.values()), fields=list(self._image))
        nothing = np.zeros(len(rows), bool)
        has = {field.name for field in self._value.type}
        op = self._column("__op") if "__op" in has else pa.nulls(len(rows), pa.string())
        deleted = nothing
        if "__deleted" in has:
            deleted = _mask(pc.equal(self._column("__deleted").cast(pa.string()), "true"))
        deletes = self._tombstone | _mask(pc.equal(op, "d")) | deleted
        return self._steps(place, rows, deletes, _mask(pc.equal(op, "t")))

    def envelope(self, place: int) -> tuple[Steps, Refused]:
        before, after, op = self._column("before"), self._column("after"), self._column("op")
        before, after = _as_struct(before, self._image), _as_struct(after, self._image)
        deletes = _mask(pc.equal(op, "d")) | self._tombstone
        truncates = _mask(pc.equal(op, "t"))
        rows = pa.StructArray.from_arrays(
            [
                pc.if_else(pa.array(deletes), pc.struct_field(before, name), pc.struct_field(after, name))
                for name in self._image.names
            ],
            fields=list(self._image),
        )
        lacking = _mask(pc.is_null(after)) & ~deletes & ~truncates
        moved = self._moved(before, after, op)
        return self._steps(place, rows, deletes, truncates, lacking=lacking, moved=moved, before=before)

    def _moved(self, before: pa.StructArray, after: pa.StructArray, op: pa.Array) -> np.ndarray:
        """Updates whose row had another key; where the key before is not told it is the same."""
        moved: np.ndarray = np.zeros(len(op), bool)
        for name in self._key:
            moved |= _mask(pc.not_equal(pc.struct_field(before, name), pc.struct_field(after, name)))
        moved &= _mask(pc.equal(op, "u"))
        return moved

    def _steps(
        self,
        place: int,
        rows: pa.StructArray,
        deletes: np.ndarray,
        truncates: np.ndarray,
        *,
        lacking: np.ndarray | None = None,
        moved: np.ndarray | None = None,
        before: pa.StructArray | None = None,
    ) -> tuple[Steps, Refused]:
        rows, refused = self._with_record_keys(rows, deletes)
        if lacking is not None:
            refused += [(row, "the change has no row after it") for row in np.flatnonzero(lacking).tolist()]
        first = int(np.flatnonzero(truncates)[-1]) + 1 if truncates.any() else 0
        keep = np.ones(len(rows), bool)
        keep[[row for row, _ in refused]] = False
        keep &= ~truncates
        keep[:first] = False
        batch = pa.RecordBatch.from_arrays(rows.flatten(), schema=pa.schema(list(rows.type)))
        whole = Steps(Rows(batch, origin_of(self._records, place)), deletes, bool(first))
        if moved is None or before is None or not moved.any():
            return whole.take(np.flatnonzero(keep)), refused
        return _with_deletes_first(whole, before, moved, keep), refused

    def _with_record_keys(self, rows: pa.StructArray, deletes: np.ndarray) -> tuple[pa.StructArray, Refused]:
        """Where a deletion does not name its row the record's key does."""
        if not deletes.any():
            return rows, []
        if not self._key:
            return rows, [(int(row), "a deletion, and no key is known") for row in np.flatnonzero(deletes)]
        nameless = deletes.copy()
        for name in self._key:
            nameless &= _mask(pc.is_null(_field(rows, name)))
        places = np.flatnonzero(nameless)
        if not len(places):
            return rows, []
        if self._records.key is None:
            return rows, [(int(row), "a deletion without a key") for row in places]
        types = [self._key_type(rows, name) for name in self._key]
        found, bad = key_columns(self._records.key.take(pa.array(places)), self._key, types)
        refused = [(int(row), "a deletion whose key cannot be read") for row in places[bad]]
        return _replaced(rows, places, found), refused

    def _key_type(self, rows: pa.StructArray, name: str) -> pa.DataType:
        kind = _field(rows, name).type
        if not pa.types.is_null(kind):
            return kind
        return self._known.field(name).type if self._known is not None and name in self._known.names else pa.string()

    def _column(self, name: str) -> pa.Array:
        """A column of the value, null where the record is a tombstone."""
        return pc.struct_field(self._value, name)


def _with_deletes_first(whole: Steps, before: pa.StructArray, moved: np.ndarray, keep: np.ndarray) -> Steps:
    """A deletion of the old key goes in front of each update that has changed it."""
    count = len(keep)
    old = pa.RecordBatch.from_arrays(before.flatten(), schema=whole.rows.batch.schema)
    both = pa.Table.from_batches([whole.rows.batch, old]).combine_chunks().to_batches()[0]
    origin = pa.Table.from_batches([whole.rows.origin] * 2).combine_chunks().to_batches()[0]
    deletes = np.concatenate([whole.deletes, np.ones(count, bool)])
    places = np.concatenate([np.flatnonzero(keep), count + np.flatnonzero(keep & moved)])
    order = np.argsort(np.where(places >= count, 2 * (places - count), 2 * places + 1), kind="stable")
    return Steps(Rows(both, origin), deletes, whole.truncates).take(places[order])


def _as_struct(array: pa.Array, kind: pa.StructType) -> pa.StructArray:
    """With the columns of ``kind``, null where the array has none of that name."""
    if array.type.equals(kind):
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), kind)
    names = {field.name for field in array.type}
    columns = [
        pc.struct_field(array, field.name).cast(field.type) if field.name in names else pa.nulls(len(array), field.type)
        for field in kind
    ]
    return pa.StructArray.from_arrays(columns, fields=list(kind), mask=pc.is_null(array))


def _field(rows: pa.StructArray, name: str) -> pa.Array:
    if rows.type.get_field_index(name) < 0:
        return pa.nulls(len(rows))
    return pc.struct_field(rows, name)


def _replaced(rows: pa.StructArray, places: np.ndarray, found: pa.StructArray) -> pa.StructArray:
    """``rows`` with the columns of ``found`` at those places."""
    names = [field.name for field in rows.type]
    columns = {name: pc.struct_field(rows, name) for name in names}
    indices = np.full(len(rows), -1, np.int64)
    indices[places] = np.arange(len(places))
    chosen = pa.array(indices, mask=indices < 0)
    for name in found.type.names:
        column = pc.struct_field(found, name).take(chosen)
        held = columns.get(name)
        columns[name] = column if held is None or pa.types.is_null(held.type) else pc.coalesce(held, column)
    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns))


def _mask(array: pa.Array) -> np.ndarray:
    found: np.ndarray = np.asarray(pc.fill_null(array, False))
    return found
