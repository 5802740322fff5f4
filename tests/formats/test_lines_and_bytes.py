"""The formats lines and bytes."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.connectors import Records
from ingest.errors import FormatError
from ingest.formats import NAMES, format_named

LINES, BYTES = format_named("lines"), format_named("bytes")
TEXTS = ["", "a line", "two\nlines", "é𝄞", None]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_text_goes_as_utf8_and_comes_back(kind: pa.DataType) -> None:
    encoded = LINES.encode(Records(value=pa.array(TEXTS, kind), key=pa.array(["k"] * 5)))
    assert encoded.records.value.to_pylist() == [None if text is None else text.encode() for text in TEXTS]
    assert encoded.records.key is not None
    assert encoded.records.key.to_pylist() == [b"k"] * 5
    assert LINES.decode(encoded.records).records.value.to_pylist() == TEXTS


def test_bytes_stay_what_they_are() -> None:
    values = pa.array([b"", b"\xff\x00", None], pa.binary())
    encoded = BYTES.encode(Records(value=values)).records
    assert encoded.value is values
    assert BYTES.decode(encoded).records.value is values


@pytest.mark.parametrize("format_name", ["lines", "bytes"])
def test_columns_are_refused_with_a_hint(format_name: str) -> None:
    with pytest.raises(FormatError, match="json or arrow"):
        format_named(format_name).encode(Records(value=pa.array([{"a": 1}])))


@pytest.mark.parametrize("format_name", ["lines", "bytes"])
def test_a_value_above_the_limit_is_refused_alone(format_name: str) -> None:
    encoded = format_named(format_name).encode(Records(value=pa.array([b"ab", b"abc", None, b"abcd"])), max_bytes=3)
    assert encoded.records.value.to_pylist() == [b"ab", b"abc", None]
    assert encoded.rejected[0].rows.to_pylist() == [3]
    assert encoded.rejected[0].reasons == ["the value has 4 bytes, and the topic takes 3"]


@given(st.lists(st.binary(max_size=4) | st.text(max_size=4).map(str.encode), max_size=200), st.integers(0, 3))
def test_what_is_not_utf8_is_refused_alone(values: list[bytes], start: int) -> None:
    given_rows = values[start:]
    decoded = LINES.decode(Records(value=pa.array(values, pa.binary()).slice(start)))
    refused = [row for each in decoded.rejected for row in each.rows.to_pylist()]
    good = []
    for row, value in enumerate(given_rows):
        try:
            good.append(value.decode("utf-8"))
            assert row not in refused
        except UnicodeDecodeError:
            assert row in refused
    assert decoded.records.value.to_pylist() == good


def test_every_format_has_its_name() -> None:
    for name in NAMES:
        assert format_named(name).name == name
