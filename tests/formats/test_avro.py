"""The format avro: exact, readable by a foreign library, and careful with bytes of strangers."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typed_columns import LEAVES, kinds, struct_arrays, told, values

from ingest.connectors import Records
from ingest.errors import FormatError
from ingest.formats import Decoded, format_named
from ingest.formats.avro_schema import avro_schema, with_writers

AVRO = format_named("avro")
ABC = pa.schema([("a", pa.int64()), ("b", pa.string())])


def known(schema: pa.Schema, number: int = 7, **elders: pa.Schema) -> pa.Schema:
    return with_writers(schema, number, {int(key[1:]): elder for key, elder in elders.items()})


def encode(rows: list[Any], schema: pa.Schema) -> list[bytes | None]:
    column = pa.array(rows, pa.struct(list(schema)))
    encoded = AVRO.encode(Records(value=column), schema=schema)
    assert not encoded.rejected
    found: list[bytes | None] = encoded.records.value.to_pylist()
    return found


def decode(*texts: bytes | None, schema: pa.Schema) -> Decoded:
    return AVRO.decode(Records(value=pa.array(texts, pa.binary())), schema=schema)


def reason(text: bytes, schema: pa.Schema) -> str:
    (refused,) = decode(text, schema=schema).rejected
    return str(refused.reasons[0])


@given(struct_arrays())
@settings(max_examples=60)
def test_what_was_written_is_read_back_exactly(column: pa.StructArray) -> None:
    schema = known(pa.schema(list(column.type)))
    encoded = AVRO.encode(Records(value=column), schema=schema)
    refused = {row for each in encoded.rejected for row in each.rows.to_pylist()}
    good = column.take(pa.array([row for row in range(len(column)) if row not in refused], pa.int64()))
    decoded = AVRO.decode(encoded.records, schema=schema)
    assert not decoded.rejected
    assert decoded.records.value.type == column.type
    assert told(decoded.records.value) == told(good)


JUDGED = tuple(kind for kind in LEAVES if not pa.types.is_temporal(kind) and not pa.types.is_decimal(kind))


@given(kinds(JUDGED).flatmap(lambda kind: st.tuples(st.just(kind), st.lists(values(kind), max_size=4))))
@settings(max_examples=60)
def test_a_foreign_library_reads_the_same_values(drawn: tuple[pa.DataType, list[Any]]) -> None:
    kind, found = drawn
    schema = known(pa.schema([("a", kind)]))
    rows = pa.array([{"a": value} for value in found], pa.struct(list(schema))).to_pylist()
    parsed = fastavro.parse_schema(avro_schema(schema))
    for text, row in zip(encode(rows, schema), rows, strict=True):
        assert text is not None
        judge = io.BytesIO(text[5:])
        read = fastavro.schemaless_reader(judge, parsed, None)
        assert judge.read() == b""
        assert repr(plain(read["a"])) == repr(plain(row["a"]))


def plain(value: Any) -> Any:
    """Maps and records of a map as pairs, whole decimals as integers, floats of any width by their double."""
    if isinstance(value, dict):
        return [plain(item) for item in value.values()]
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bool | str | bytes | None):
        return value
    return int(value) if value == value and float(value).is_integer() else float(value)


def test_the_wire_is_a_zero_byte_the_id_and_the_record() -> None:
    assert encode([{"a": -1, "b": "é"}, {"a": None, "b": None}], known(ABC, 258)) == [
        b"\0\0\0\1\2" + b"\2\1" + b"\2\4\xc3\xa9",
        b"\0\0\0\1\2" + b"\0" + b"\0",
    ]


def test_names_that_avro_does_not_allow_are_changed_and_kept() -> None:
    schema = pa.schema([("id.orig_h", pa.string()), ("id-orig_h", pa.int8()), ("4xx", pa.bool_()), ("é", pa.null())])
    fields = avro_schema(schema)["fields"]
    assert [field["name"] for field in fields] == ["id_orig_h", "id_orig_h_", "_4xx", "_"]
    assert [field["ingest.name"] for field in fields] == schema.names
    fastavro.parse_schema(avro_schema(schema))


def test_records_of_older_schemas_are_read_by_the_newest() -> None:
    old = encode([{"a": 1}, {"a": 2}], known(pa.schema([("a", pa.int64())]), 3))
    newest = pa.schema([("a", pa.float64()), ("b", pa.string())])
    schema = known(newest, 9, _3=pa.schema([("a", pa.int64())]))
    new = encode([{"a": 1.5, "b": "x"}], schema)
    decoded = decode(old[0], new[0], None, old[1], schema=schema)
    assert decoded.records.value.to_pylist() == [
        {"a": 1.0, "b": None},
        {"a": 1.5, "b": "x"},
        None,
        {"a": 2.0, "b": None},
    ]


def test_what_no_longer_fits_is_refused_alone() -> None:
    elder = pa.schema([("a", pa.int64())])
    texts = encode([{"a": 1}, {"a": 2**60 + 1}, {"a": 3}], known(elder, 3))
    decoded = decode(*texts, schema=known(pa.schema([("a", pa.float64())]), 4, _3=elder))
    assert decoded.records.value.to_pylist() == [{"a": 1.0}, {"a": 3.0}]
    assert decoded.rejected[0].rows.to_pylist() == [1]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "does not begin with a zero byte"),
        (b"\1\0\0\0\7\0\0", "does not begin with a zero byte"),
        (b"\0\0\0\0\6\0\0", "the schema id 6 is not one of this topic's"),
        (b"\0\0\0\0\7", "no number of at most 64 bits at byte 5"),
        (b"\0\0\0\0\7\0\0x", "1 bytes follow the value"),
        (b"\0\0\0\0\7\4\0", "branch 2 of a union of two"),
        (b"\0\0\0\0\7\0\2\2\xff", "not UTF-8"),
        (b"\0\0\0\0\7\0\2\1", "-1 bytes are announced"),
        (b"\0\0\0\0\7\0\2\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1", "are announced"),
        (b"\0\0\0\0\7\2" + b"\xff" * 12, "at most 64 bits"),
        (b"\0\0\0\0\7\2" + b"\xff" * 9 + b"\x03", "at most 64 bits"),
    ],
)
def test_bytes_of_strangers_are_refused_with_a_reason(text: bytes, why: str) -> None:
    assert why in reason(text, known(ABC))


def test_a_list_that_announces_more_than_it_has_takes_no_memory() -> None:
    schema = known(pa.schema([("l", pa.list_(pa.list_(pa.null())))]))
    million = b"\x80\x89\x7a"
    assert "are announced" in reason(b"\0\0\0\0\7\2" + b"\x80\x01" + (b"\2" + million + b"\0") * 64 + b"\0", schema)


@given(struct_arrays(max_size=3), st.data())
@settings(max_examples=60)
def test_damaged_bytes_are_read_or_refused(column: pa.StructArray, data: st.DataObject) -> None:
    schema = known(pa.schema(list(column.type)))
    texts = AVRO.encode(Records(value=column), schema=schema).records.value.to_pylist()
    damaged = []
    for text in texts:
        if text is not None:
            cut = data.draw(st.integers(0, len(text)))
            text = text[:cut] + data.draw(st.binary(max_size=3)) + text[cut + data.draw(st.integers(0, 2)) :]
        damaged.append(text)
    decoded = decode(*damaged, schema=schema)
    decoded.records.value.validate(full=True)
    assert len(decoded.records) + sum(len(each.rows) for each in decoded.rejected) == len(damaged)


def test_a_schema_without_an_id_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(FormatError, match="evolve its schema first"):
        AVRO.encode(Records(value=pa.array([{"a": 1}])), schema=pa.schema([("a", pa.int64())]))


def test_a_type_that_avro_does_not_have_names_its_column() -> None:
    schema = pa.schema([("a", pa.struct([("b", pa.month_day_nano_interval())]))])
    with pytest.raises(FormatError, match=r"'a\.b'"):
        avro_schema(schema)


def test_encoding_casts_to_the_schema_and_names_the_rows_of_the_input() -> None:
    schema = known(pa.schema([("a", pa.int32()), ("s", pa.timestamp("s"))]))
    column = pa.array(
        [{"a": 2**40, "s": 0}, {"a": 1, "s": 0}, {"a": 2, "s": 2**62}, {"a": 3, "s": 0}],
        pa.struct([("a", pa.int64()), ("s", pa.timestamp("s"))]),
    )
    encoded = AVRO.encode(Records(value=column), schema=schema)
    assert [each.rows.to_pylist() for each in encoded.rejected] == [[0], [2]]
    assert len(encoded.records) == 2
