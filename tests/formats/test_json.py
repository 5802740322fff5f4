"""The format json: what is written, what is refused, and that nothing is silently changed."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from ingest.connectors import Records
from ingest.errors import FormatError
from ingest.formats import Decoded, format_named

JSON = format_named("json")


def written(rows: list[Any], kind: pa.DataType, **options: Any) -> list[Any]:
    encoded = JSON.encode(Records(value=pa.array(rows, kind)), **options)
    assert not encoded.rejected
    return encoded.records.value.to_pylist()


def read(*values: bytes | None, schema: pa.Schema | None = None) -> Decoded:
    return JSON.decode(Records(value=pa.array(values, pa.binary())), schema=schema)


def reasons(decoded: Decoded) -> dict[int, str]:
    return {row: why for each in decoded.rejected for row, why in zip(each.rows.to_pylist(), each.reasons, strict=True)}


def only_reason(*values: bytes, schema: pa.Schema) -> str:
    (reason,) = reasons(read(*values, schema=schema)).values()
    return reason


INT = pa.schema([("a", pa.int64())])
FLOAT = pa.schema([("a", pa.float64())])
TEXT = pa.schema([("a", pa.string())])


def test_a_row_is_one_compact_object_with_names_in_order() -> None:
    kind = pa.struct(
        [("b", pa.int64()), ("a", pa.string()), ("n", pa.struct([("x", pa.bool_())])), ("l", pa.list_(pa.int8()))]
    )
    assert written([{"b": 1, "a": 'é"', "n": {"x": True}, "l": [1, None]}], kind) == [
        '{"b":1,"a":"é\\"","n":{"x":true},"l":[1,null]}'.encode()
    ]


def test_null_columns_are_written_and_a_null_row_is_a_tombstone() -> None:
    assert written([{"a": None}, None], pa.struct([("a", pa.int64())])) == [b'{"a":null}', None]
    assert read(b'{"a":null}', None, schema=INT).records.value.to_pylist() == [{"a": None}, None]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (pa.int64(), -(2**63), "-9223372036854775808"),
        (pa.uint64(), 2**64 - 1, "18446744073709551615"),
        (pa.float64(), 1.0, "1.0"),
        (pa.float64(), -0.0, "-0.0"),
        (pa.float64(), 5e-324, "5e-324"),
        (pa.float64(), 0.1 + 0.2, "0.30000000000000004"),
        (pa.float64(), float("nan"), '"NaN"'),
        (pa.float64(), float("-inf"), '"-Infinity"'),
        (pa.float32(), 0.1, "0.10000000149011612"),
        (pa.decimal128(38, 2), Decimal("123456789012345678901234567890.10"), "123456789012345678901234567890.10"),
        (pa.binary(), b"\x00\xff", '"AP8="'),
        (pa.timestamp("us", "Europe/Berlin"), 1, '"1970-01-01T00:00:00.000001Z"'),
        (pa.timestamp("s"), -1, '"1969-12-31T23:59:59"'),
        (pa.date32(), 0, '"1970-01-01"'),
        (pa.time64("ns"), 1, '"00:00:00.000000001"'),
        (pa.duration("ms"), -5, "-5"),
        (pa.dictionary(pa.int8(), pa.string()), "x", '"x"'),
        (pa.string_view(), "a long text in a view", '"a long text in a view"'),
        (pa.map_(pa.string(), pa.int8()), [("k", 1), ("k", 2)], '[{"key":"k","value":1},{"key":"k","value":2}]'),
    ],
)
def test_types_have_one_exact_text(kind: pa.DataType, value: Any, text: str) -> None:
    column = pa.StructArray.from_arrays([pa.array([value], kind)], names=["a"])
    encoded = JSON.encode(Records(value=column)).records
    assert encoded.value.to_pylist() == [f'{{"a":{text}}}'.encode()]
    json.loads(encoded.value[0].as_py())


def test_a_timestamp_without_a_year_of_four_digits_is_refused_alone() -> None:
    column = pa.array([{"t": 0}, {"t": 2**62}, {"t": 1}], pa.struct([("t", pa.timestamp("s"))]))
    encoded = JSON.encode(Records(value=column))
    assert len(encoded.records) == 2
    assert encoded.rejected[0].rows.to_pylist() == [1]
    assert encoded.rejected[0].reasons == ["t: a date outside of the years 1 to 9999"]


def test_a_text_that_is_not_utf8_is_refused_alone() -> None:
    column = pa.StructArray.from_arrays(
        [pa.Array.from_buffers(pa.string(), 3, pa.array([b"a", b"\xff", b"c"]).buffers())], names=["s"]
    )
    encoded = JSON.encode(Records(value=column))
    assert encoded.records.value.to_pylist() == [b'{"s":"a"}', b'{"s":"c"}']
    assert encoded.rejected[0].reasons == ["a text that is not UTF-8"]


def test_a_value_above_the_limit_is_refused_under_its_own_row() -> None:
    column = pa.array(
        [{"s": "x", "t": 0}, {"s": "x", "t": 2**62}, {"s": "y" * 100, "t": 0}],
        pa.struct([("s", pa.string()), ("t", pa.timestamp("s"))]),
    )
    encoded = JSON.encode(Records(value=column), max_bytes=60)
    assert [each.rows.to_pylist() for each in encoded.rejected] == [[1], [2]]
    assert encoded.rejected[1].error == "TooLarge"
    assert len(encoded.records) == 1


def test_a_type_without_json_names_its_column() -> None:
    column = pa.array([{"a": {"b": None}}], pa.struct([("a", pa.struct([("b", pa.month_day_nano_interval())]))]))
    with pytest.raises(FormatError, match=r"'a\.b'.*month_day_nano"):
        JSON.encode(Records(value=column))


def test_text_is_taken_for_json_and_written_untouched() -> None:
    texts = ['{"a" : 1}', "not json", None]
    encoded = JSON.encode(Records(value=pa.array(texts))).records
    assert encoded.value.to_pylist() == [b'{"a" : 1}', b"not json", None]
    assert sorted(reasons(JSON.decode(encoded))) == [1]


def test_keys_offsets_and_headers_stay_with_their_rows() -> None:
    records = Records(
        value=pa.array([b'{"a":1}', b"bad", b'{"a":3}']),
        key=pa.array([b"k1", b"k2", b"k3"]),
        offsets=pa.array([7, 8, 9]),
    )
    decoded = JSON.decode(records, schema=INT).records
    assert decoded.key is not None
    assert decoded.offsets is not None
    assert (decoded.key.to_pylist(), decoded.offsets.to_pylist()) == ([b"k1", b"k3"], [7, 9])


def test_names_in_any_order_spaces_and_missing_names_are_read() -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.string()), ("c", pa.float64())])
    decoded = read(b' { "c" : 1 , "a":2} ', b"{}", b'{"\\u0062":"x"}', schema=schema)
    assert decoded.records.value.to_pylist() == [
        {"a": 2, "b": None, "c": 1.0},
        {"a": None, "b": None, "c": None},
        {"a": None, "b": "x", "c": None},
    ]
    assert not decoded.rejected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "not JSON at character 0: Expecting value"),
        (b"[1]", "not a JSON object but a list"),
        (b"1", "not a JSON object but the whole number 1"),
        (b"null", "not a JSON object but null"),
        (b'{"a":1} x', "not JSON at character 8: something follows the value"),
        (b'{"a":1,}', "not JSON at character 7"),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":1,"a":1}', 'the name "a" stands twice in one object'),
        (b'{"a":\xff}', "not UTF-8 at byte 5"),
        (b'{"a":' * 100000, "nested deeper than 64 levels"),
        (b'{"a":1.0}', "a: the number 1.0 where int64 is expected"),
        (b'{"a":1e2}', "a: the number 1e2 where int64 is expected"),
        (b'{"a":-0}', "a: the number -0 where int64 is expected"),
        (b'{"a":"1"}', 'a: the text "1" where int64 is expected'),
        (b'{"a":true}', "a: true where int64 is expected"),
        (b'{"a":{}}', "a: an object where int64 is expected"),
        (b'{"a":9223372036854775808}', "a: the whole number 9223372036854775808 is beyond int64"),
        (b'{"a":1,"b":null}', "b: the topic has no such column"),
        (b'\xef\xbb\xbf{"a":1}', "not JSON at character 0"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(value: bytes, reason: str) -> None:
    decoded = read(b'{"a":1}', value, b'{"a":2}', schema=INT)
    assert decoded.records.value.to_pylist() == [{"a": 1}, {"a": 2}]
    assert list(reasons(decoded)) == [1]
    assert reason in reasons(decoded)[1]
    assert decoded.rejected[0].error == "DecodeFailed"


def test_numbers_that_a_double_would_change_are_refused() -> None:
    assert read(b'{"a":9007199254740992}', schema=FLOAT).records.value.to_pylist() == [{"a": 2.0**53}]
    assert "not exact as double" in only_reason(b'{"a":9007199254740993}', schema=FLOAT)
    assert "beyond double" in only_reason(b'{"a":1e309}', schema=FLOAT)
    assert "where double is expected" in only_reason(b'{"a":"nan"}', schema=FLOAT)


def test_lone_surrogates_are_refused_and_pairs_are_read() -> None:
    assert read(b'{"a":"\\ud83d\\ude00"}', schema=TEXT).records.value.to_pylist() == [{"a": "\U0001f600"}]
    assert "half of a surrogate pair" in only_reason(b'{"a":"\\ud83d"}', schema=TEXT)


def test_a_column_that_is_never_null_refuses_rows_without_it() -> None:
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False), pa.field("b", pa.int64())])
    decoded = read(b'{"b":1}', b'{"a":null}', b'{"a":1}', schema=schema)
    assert sorted(reasons(decoded)) == [0, 1]
    assert decoded.records.value.to_pylist() == [{"a": 1, "b": None}]


def test_very_long_texts_are_read_whole() -> None:
    text = "é\n" * 3_000_000
    decoded = read(json.dumps({"a": text}).encode(), schema=TEXT)
    assert decoded.records.value[0].as_py() == {"a": text}


def test_encoding_casts_to_the_schema_and_names_the_rows_of_the_input() -> None:
    column = pa.array([{"a": 1}, {"a": 2**40}, {"a": 3}])
    encoded = JSON.encode(Records(value=column), schema=pa.schema([("a", pa.int32()), ("b", pa.string())]))
    assert encoded.records.value.to_pylist() == [b'{"a":1,"b":null}', b'{"a":3,"b":null}']
    assert encoded.rejected[0].rows.to_pylist() == [1]


def test_nothing_at_all_is_decoded_to_nothing() -> None:
    assert len(read().records) == 0
    assert read(None).records.value.to_pylist() == [None]
