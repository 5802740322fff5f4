"""The format ``avro``: Confluent's wire format, a zero byte, four bytes of schema id, then Avro's binary form.

The ids are the hub's own, kept in the topics' schema history. Values go one at a time through Python: this
format is for exchange with others; ``json`` and ``arrow`` are the fast ones.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np
import pyarrow as pa
from pyarrow import types as t

from ingest.connectors import Records, Rejected
from ingest.errors import FormatError
from ingest.formats.avro_binary import Cursor, NotAvro, Read, Write, reader, writer
from ingest.formats.avro_schema import avro_schema, writers_of
from ingest.formats.casting import cast_value, without_encodings
from ingest.formats.exact_values import counts, exact_values
from ingest.formats.format import MAX_RECORD_BYTES, Decoded, Encoded, Format, rejected, with_binary_keys, without_large
from ingest.formats.rows import mask_without, remaining, with_reasons

_MAGIC = b"\0"
_PREFIX_BYTES = 5


class AvroFormat(Format):
    """``schema`` must come from the topic's history (``TopicFormats``): it carries its id and its elders."""

    name: ClassVar[str] = "avro"
    typed: ClassVar[bool] = True

    def encode(
        self, records: Records, *, schema: pa.Schema | None = None, max_bytes: int = MAX_RECORD_BYTES
    ) -> Encoded:
        number, _ = writers_of(schema)
        if schema is None or number is None:
            raise FormatError(
                "avro needs a schema with an id", hint="declare the topic's format, and evolve its schema first"
            )
        records = with_binary_keys(records)
        value, refused = cast_value(without_encodings(records.value), schema)
        records, rows = remaining(records, np.arange(len(records)), refused)
        texts, reasons = _written(value, schema, _MAGIC + number.to_bytes(4, "big"))
        refused += with_reasons(rows, reasons, "EncodeFailed")
        keep = mask_without(len(records), reasons)
        records, rows = records.with_value(texts).filter(pa.array(keep)), rows[keep]
        records, large = without_large(records, max_bytes)
        refused += [rejected(rows[each.rows.to_numpy()], each.reasons, each.error) for each in large]
        return Encoded(records, refused)

    def decode(self, records: Records, *, schema: pa.Schema | None = None) -> Decoded:
        _, writers = writers_of(schema)
        readers = {number: _codec(each)[1] for number, each in writers.items()}
        reasons: dict[int, str] = {}
        found: dict[int, tuple[list[int], list[object]]] = {}
        for row, value in enumerate(records.value.to_pylist()):
            try:
                number, item = _parsed(value, readers)
            except NotAvro as error:
                reasons[row] = str(error)
                continue
            rows, items = found.setdefault(number, ([], []))
            rows.append(row)
            items.append(item)
        refused = with_reasons(np.arange(len(records)), reasons, "DecodeFailed")
        return _joined(records, found, writers, schema, refused)


@lru_cache(maxsize=64)
def _codec(schema: pa.Schema) -> tuple[Write, Read]:
    avro_schema(schema)  # names the column that Avro cannot carry
    value = pa.field("value", pa.struct(list(schema)), nullable=False)
    return writer(value), reader(value)


def _floats(array: pa.Array) -> pa.Array:
    return array.cast(pa.float64()) if t.is_floating(array.type) else counts(array)


def _written(value: pa.StructArray, schema: pa.Schema, prefix: bytes) -> tuple[pa.Array, dict[int, str]]:
    write, _ = _codec(schema)
    texts: list[bytes | None] = []
    reasons: dict[int, str] = {}
    for row, item in enumerate(exact_values(value, _floats)):
        out = bytearray(prefix)
        try:
            if item is not None:
                write(item, out)
        except NotAvro as error:
            reasons[row] = str(error)
        texts.append(None if item is None or row in reasons else bytes(out))
    return pa.array(
        texts, pa.binary() if sum(len(text or b"") for text in texts) < 2**31 else pa.large_binary()
    ), reasons


def _parsed(value: bytes | None, readers: dict[int, Read]) -> tuple[int, object]:
    """The writer's id, and the value as Python values; a tombstone has the id 0."""
    if value is None:
        return 0, None
    if len(value) < _PREFIX_BYTES or value[:1] != _MAGIC:
        raise NotAvro("it does not begin with a zero byte and a schema id")
    number = int.from_bytes(value[1:_PREFIX_BYTES], "big")
    if number not in readers:
        raise NotAvro(f"the schema id {number} is not one of this topic's")
    cursor = Cursor(value, _PREFIX_BYTES)
    item = readers[number](cursor)
    if cursor.left:
        raise NotAvro(f"{cursor.left} bytes follow the value")
    return number, item


def _joined(
    records: Records,
    found: dict[int, tuple[list[int], list[object]]],
    writers: dict[int, pa.Schema],
    schema: pa.Schema | None,
    refused: list[Rejected],
) -> Decoded:
    """What each schema wrote, cast to the topic's, in the order of the records."""
    target = schema if schema is not None else pa.schema([])
    pieces: list[pa.Array] = [pa.array([], pa.struct(list(target)))]
    kept: list[np.ndarray] = [np.empty(0, dtype=np.int64)]
    for number, (rows, items) in found.items():
        column = pa.array(items, pa.struct(list(writers.get(number, target))))
        cast, unfit = cast_value(column, target)
        numbers = np.array(rows, dtype=np.int64)
        for each in unfit:
            refused.append(rejected(numbers[each.rows.to_numpy()], each.reasons, each.error))
        dropped = [row for each in unfit for row in each.rows.to_pylist()]
        pieces.append(cast)
        kept.append(numbers[mask_without(len(numbers), dropped)])
    order = np.argsort(np.concatenate(kept), kind="stable")
    value = pa.concat_arrays(pieces).take(pa.array(order))
    good = pa.array(np.sort(np.concatenate(kept)))
    return Decoded(records.with_value(pa.nulls(len(records))).take(good).with_value(value), refused)
