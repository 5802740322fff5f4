"""The compiled JSON kernels against their twin, value for value and reason for reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from needs import needs
from typed_columns import LEAVES, struct_arrays, told

from ingest.formats import json_codec, json_twin

EXAMPLES = 50
"""Few, for each costs the twin's time; the slow test below tries many more."""


@pytest.fixture(autouse=True)
def kernels() -> None:
    needs(json_codec.COMPILED, "the compiled kernels of formats")


@given(struct_arrays())
@settings(max_examples=EXAMPLES)
def test_both_write_the_same_text(column: pa.StructArray) -> None:
    texts, reasons = json_codec.encode(column)
    expected, expected_reasons = json_twin.encode(column)
    assert texts.to_pylist() == expected.to_pylist()
    assert reasons == expected_reasons == {}


@given(struct_arrays())
@settings(max_examples=EXAMPLES)
def test_what_was_written_is_read_back_exactly(column: pa.StructArray) -> None:
    texts, _ = json_codec.encode(column)
    for codec in (json_codec, json_twin):
        again, reasons = codec.decode(texts, column.type)
        again.validate(full=True)
        assert reasons == {}
        assert again.type == column.type
        assert told(again) == told(column)


@given(struct_arrays())
@settings(max_examples=EXAMPLES)
def test_a_foreign_parser_reads_what_was_written(column: pa.StructArray) -> None:
    for text in json_codec.encode(column)[0].to_pylist():
        if text is not None:
            assert list(orjson.loads(text)) == [field.name for field in column.type]


FRAGMENTS = [
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n\t", b"\xff", b"\xed\xa0\x80", b"\x00", b"", b"null"),
    *(b"true", b"0", b"-", b"-0", b"1e5", b".5", b"01", b"1.", b"+1", b"NaN", b'"NaN"', b'"-Infinity"', b"Infinity"),
    *(
        b"\\u00e9",
        b"\\ud800",
        b"\\ud83d\\ude00",
        b"\\udc00",
        b"\\/",
        b"\\x",
        b"\\u12",
        b'"\\u0061"',
        b"9007199254740993",
    ),
    *(b"18446744073709551615", b"18446744073709551616", b"-9223372036854775808", b"-9223372036854775809", b"1" * 40),
    *(b"0.12345678901234567890123", b"1e999", b"-1e999", b"1e-999", b"0e99999999999", b"123456789012345678901.5e-3"),
    *(
        b'"2024-02-29T23:59:59.999Z"',
        b'"2023-02-29"',
        b'"2024-01-31 00:00:00+01:30"',
        b'"24:00:00"',
        b'"AA=="',
        b'"AB=="',
    ),
]


@st.composite
def damaged(draw: st.DrawFn) -> tuple[pa.Array, pa.DataType]:
    """JSON of a column with pieces of it cut out and others put in, and the type that it had."""
    column = draw(struct_arrays(max_size=6))
    texts = []
    for text in json_twin.encode(column)[0].to_pylist():
        damage = draw(st.sampled_from(["none", "splice", "cut", "shuffle"]))
        texts.append(text if text is None else _damage(draw, text, damage))
    texts.append(draw(st.binary(max_size=20)))
    kind = draw(st.sampled_from([pa.binary(), pa.large_binary()]))
    return pa.array(texts, kind).slice(draw(st.integers(0, 2))), column.type


def _damage(draw: st.DrawFn, text: bytes, damage: str) -> bytes:
    start = draw(st.integers(0, len(text)))
    if damage == "splice":
        return text[:start] + draw(st.sampled_from(FRAGMENTS)) + text[start + draw(st.integers(0, 12)) :]
    if damage == "cut":
        return text[:start]
    if damage == "shuffle":
        items = draw(st.permutations(list(json.loads(text).items())))
        kept = dict(items[draw(st.integers(0, 1)) :]) | draw(st.sampled_from([{}, {"more": 1}]))
        spaced = draw(st.sampled_from([None, 1]))
        return json.dumps(kept, indent=spaced, ensure_ascii=draw(st.booleans())).encode()
    return text


@given(damaged())
@settings(max_examples=EXAMPLES)
def test_both_read_and_refuse_the_same(drawn: tuple[pa.Array, pa.DataType]) -> None:
    assert_read_alike(*drawn)


@pytest.mark.slow
@pytest.mark.timeout(900)
@given(damaged())
@settings(max_examples=3000)
def test_both_read_and_refuse_the_same_many_times(drawn: tuple[pa.Array, pa.DataType]) -> None:
    assert_read_alike(*drawn)


def assert_read_alike(values: pa.Array, kind: pa.DataType) -> None:
    column, reasons = json_codec.decode(values, kind)
    expected, expected_reasons = json_twin.decode(values, kind)
    column.validate(full=True)
    assert reasons == expected_reasons
    assert told(column) == told(expected)


@pytest.mark.parametrize("kind", LEAVES, ids=str)
def test_both_judge_each_scalar_alike(kind: pa.DataType) -> None:
    for of_kind, form in (
        (kind, b'{"a":%b}'),
        (pa.list_(kind), b'{"a":[%b]}'),
        (pa.list_(kind), b'{ "a" : [ null ,%b ] }'),
    ):
        values = pa.array([form.replace(b"%b", fragment) for fragment in FRAGMENTS])
        column, reasons = json_codec.decode(values, pa.struct([("a", of_kind)]))
        expected, expected_reasons = json_twin.decode(values, pa.struct([("a", of_kind)]))
        assert reasons == expected_reasons
        assert told(column) == told(expected)


def test_the_kernel_takes_good_rows_without_the_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the twin was asked")

    monkeypatch.setattr(json_codec.json_twin, "decode", refuse)
    monkeypatch.setattr(json_codec.json_twin, "encode", refuse)
    kind = pa.struct(
        [("n", pa.int64()), ("f", pa.float64()), ("t", pa.timestamp("us", "UTC")), ("l", pa.list_(pa.string()))]
    )
    rows = [{"n": 1, "f": 0.1 + 0.2, "t": 5, "l": ["é\n", None]}, None, {"n": None, "f": 1e300, "t": None, "l": None}]
    texts, _ = json_codec.encode(pa.array(rows, kind))
    column, _ = json_codec.decode(texts, kind)
    assert column.equals(pa.array(rows, kind))


def test_a_bad_row_in_a_list_leaves_its_neighbours_whole() -> None:
    kind = pa.struct(
        [("l", pa.list_(pa.struct([("d", pa.decimal128(5, 2)), ("s", pa.string()), ("f", pa.float64())])))]
    )
    good = b'{"l":[{"d":1.25,"s":"a","f":0.30000000000000004},{"d":2,"s":"b","f":1}]}'
    late = b'{"l":[{"d":1.25,"s":"a","f":0.30000000000000004},{"d":2,"s":"b","f":1}],"l":1}'
    inexact = b'{"l":[{"d":1.255,"s":"a","f":1}]}'
    huge = b'{"l":[{"d":1,"s":"a","f":1e400}]}'
    column, reasons = json_codec.decode(pa.array([good, late, good, inexact, huge, good]), kind)
    assert sorted(reasons) == [1, 3, 4]
    assert "exact" in reasons[3]
    assert "beyond double" in reasons[4]
    expected = json_twin.decode(pa.array([good]), kind)[0][0]
    assert [column[row] for row in (0, 2, 5)] == [expected] * 3


def test_memory_grows_where_text_is_much_longer_than_its_column_suggests() -> None:
    column = pa.array([{"a": "\x01" * 5000, "b": [list(range(50))] * 40}] * 20)
    texts, _ = json_codec.encode(column)
    again, reasons = json_codec.decode(texts, column.type)
    assert reasons == {}
    assert again.equals(column)


def test_values_are_read_in_pieces_where_32_bits_do_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_codec, "_PIECE_BYTES", 100)
    values = pa.array([b'{"a":%d}' % n for n in range(100)] + [b'{"a":"%s"}' % (b"x" * 300), None, b'{"a":1}'])
    column, reasons = json_codec.decode(values, pa.struct([("a", pa.int64())]))
    assert [row["a"] for row in column[:100].to_pylist()] == list(range(100))
    assert list(reasons) == [100]
    assert column[101:].to_pylist() == [None, {"a": 1}]


def test_no_rows_are_no_rows() -> None:
    kind = pa.struct([("a", pa.int64())])
    assert len(json_codec.encode(pa.array([], kind))[0]) == 0
    assert json_codec.decode(pa.array([], pa.binary()), kind)[0].type == kind


def test_the_twin_runs_where_it_is_asked_for() -> None:
    program = "from ingest.formats import json_codec; print(json_codec.COMPILED)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "INGEST_PURE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"
