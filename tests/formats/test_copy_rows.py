"""Rows of a binary COPY: the kernel against its twin, both against what PostgreSQL means."""

from __future__ import annotations

import datetime as dt
import struct
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import DecodeFailed
from ingest.formats import copy_rows_twin as twin
from ingest.formats.copy_rows import CopyColumn, CopyDecoder

try:
    from ingest.formats._copy_rows import decode_rows as compiled
except ImportError:
    compiled = None


def field(value: bytes | None) -> bytes:
    return struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value


def row(*values: bytes | None) -> bytes:
    return struct.pack(">h", len(values)) + b"".join(map(field, values))


def numeric(text: str) -> bytes:
    """As PostgreSQL sends it: digits of base 10,000 without zeros at either end."""
    if text in ("NaN", "Infinity", "-Infinity"):
        sign = {"NaN": 0xC000, "Infinity": 0xD000, "-Infinity": 0xF000}[text]
        return struct.pack(">HhHH", 0, 0, sign, 0)
    whole, _, fraction = text.lstrip("-").partition(".")
    weight = (len(whole) + 3) // 4 - 1
    digits = whole.zfill(4 * (weight + 1)) + fraction.ljust((len(fraction) + 3) // 4 * 4, "0")
    groups = [int(digits[at : at + 4]) for at in range(0, len(digits), 4)]
    while groups and groups[0] == 0:
        groups.pop(0)
        weight -= 1
    while groups and groups[-1] == 0:
        groups.pop()
    sign = 0x4000 if text.startswith("-") and groups else 0
    return struct.pack(f">HhHH{len(groups)}H", len(groups), weight if groups else 0, sign, len(fraction), *groups)


def decoded(column: CopyColumn, *values: bytes | None) -> tuple[list[Any], list[int]]:
    batch, refused = CopyDecoder([column]).decode(b"".join(map(row, values)), len(values))
    batch.validate(full=True)
    return batch.column(0).to_pylist(), refused.tolist()


@pytest.mark.parametrize(
    ("wire", "sent", "meant"),
    [
        ("bool", b"\1", True),
        ("bool", b"\0", False),
        ("int2", struct.pack(">h", -32768), -32768),
        ("int4", struct.pack(">i", -7), -7),
        ("int8", struct.pack(">q", -(2**63)), -(2**63)),
        ("oid", struct.pack(">I", 2**32 - 1), 2**32 - 1),
        ("float4", struct.pack(">f", 1.5), 1.5),
        ("float8", struct.pack(">d", 1e300), 1e300),
        ("float8", struct.pack(">d", float("-inf")), float("-inf")),
        ("date", struct.pack(">i", 0), dt.date(2000, 1, 1)),
        ("date", struct.pack(">i", -10957), dt.date(1970, 1, 1)),
        ("time", struct.pack(">q", 86_399_999_999), dt.time(23, 59, 59, 999_999)),
        ("timestamp", struct.pack(">q", -1), dt.datetime(1999, 12, 31, 23, 59, 59, 999_999)),
        ("timestamptz", struct.pack(">q", 0), dt.datetime(2000, 1, 1, tzinfo=dt.UTC)),
        ("uuid", uuid.UUID(int=5).bytes, uuid.UUID(int=5).bytes),
        ("bytea", b"\0\xff", b"\0\xff"),
        ("jsonb", b'\x01{"a": 1}', '{"a": 1}'),
        ("text", "ä".encode(), "ä"),
        ("text", b"", ""),
    ],
)
def test_a_value_of_each_type_is_what_it_was(wire: str, sent: bytes, meant: object) -> None:
    assert decoded(CopyColumn("c", wire), sent, None, sent) == ([meant, None, meant], [0, 0, 0])


def test_an_interval_keeps_months_days_and_time_apart() -> None:
    values, refused = decoded(CopyColumn("c", "interval"), struct.pack(">qii", -5, 3, -14))
    assert values == [pa.MonthDayNano([-14, 3, -5000])]
    assert refused == [0]


@pytest.mark.parametrize(
    ("wire", "sent"),
    [
        ("date", struct.pack(">i", 2**31 - 1)),
        ("date", struct.pack(">i", -(2**31))),
        ("timestamp", struct.pack(">q", 2**63 - 1)),
        ("timestamptz", struct.pack(">q", -(2**63))),
        ("timestamp", struct.pack(">q", 2**63 - 2)),
        ("interval", struct.pack(">qii", 2**62, 0, 0)),
        ("numeric", numeric("NaN")),
        ("numeric", numeric("-Infinity")),
        ("numeric", numeric("1" + "0" * 36)),
        ("numeric", numeric("0.001")),
    ],
)
def test_what_a_type_cannot_hold_is_named_and_its_neighbours_stay(wire: str, sent: bytes) -> None:
    columns = [CopyColumn("id", "int4"), CopyColumn("c", wire, 38, 2)]
    data = b"".join(row(struct.pack(">i", n), sent if n == 1 else None) for n in range(3))
    batch, refused = CopyDecoder(columns).decode(data, 3)
    assert refused.tolist() == [0, 2, 0]
    assert batch.column(0).to_pylist() == [0, 1, 2]
    assert batch.column(1).to_pylist() == [None, None, None]


@pytest.mark.parametrize(
    "data",
    [
        b"\0",
        struct.pack(">h", 2) + field(b"abcd"),
        row(b"abc"),
        row(b"abcd")[:-1],
        row(b"abcd") + b"\0",
        struct.pack(">hi", 1, -2),
        struct.pack(">hi", 1, 2**31 - 1),
    ],
)
def test_bytes_that_are_no_rows_are_an_error(data: bytes) -> None:
    with pytest.raises(DecodeFailed):
        CopyDecoder([CopyColumn("c", "int4")]).decode(data, 1)


def test_no_rows_are_an_empty_batch() -> None:
    batch, refused = CopyDecoder([CopyColumn("a", "int4"), CopyColumn("b", "text")]).decode(b"", 0)
    assert (batch.num_rows, len(refused)) == (0, 0)


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**30), max_value=10**30)))
def test_decimals_are_exact(numbers: list[Decimal]) -> None:
    sent = [numeric(format(number, "f")) for number in numbers]
    assert decoded(CopyColumn("c", "numeric", 38, 4), *sent) == (numbers, [0] * len(numbers))


@given(digits=st.integers(1, 10**44), places=st.integers(0, 44), scale=st.integers(0, 38), negative=st.booleans())
def test_a_decimal_fits_or_is_refused_at_every_size_and_scale(
    digits: int, places: int, scale: int, negative: bool
) -> None:
    text = str(digits).zfill(places + 1)
    text = f"{text[: len(text) - places]}.{text[len(text) - places :]}" if places else text
    number, left = divmod(digits * 10**scale, 10**places)
    values, refused = decoded(CopyColumn("c", "numeric", 38, scale), numeric("-" + text if negative else text))
    if left or number >= 10**38:
        assert (values, refused) == ([None], [1])
    else:
        assert refused == [0]
        assert int(format(values[0], "f").replace(".", "")) == (-number if negative else number)


KINDS = st.sampled_from(range(12))
SIZED = st.sampled_from([1, 2, 4, 8, 16]).flatmap(lambda size: st.binary(min_size=size, max_size=size))
NUMBERS = st.decimals(allow_nan=True, allow_infinity=False, places=3).map(
    lambda number: numeric("NaN" if number.is_nan() else format(number, "f"))
)
NASTY = st.one_of(st.none(), st.binary(max_size=20), SIZED, NUMBERS)


@pytest.mark.skipif(compiled is None, reason="no compiled kernel")
@given(st.data())
def test_kernel_and_twin_agree_on_any_bytes(data: st.DataObject) -> None:
    kinds = np.array(data.draw(st.lists(KINDS, min_size=1, max_size=4)), np.int32)
    scales = np.array(data.draw(st.lists(st.integers(0, 38), min_size=len(kinds), max_size=len(kinds))), np.int32)
    rows = data.draw(st.lists(st.lists(NASTY, min_size=len(kinds), max_size=len(kinds)), max_size=5))
    sent = bytearray(b"".join(row(*values) for values in rows))
    if sent and data.draw(st.booleans()):
        sent[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
    outcomes = [outcome(function, bytes(sent), len(rows), kinds, scales) for function in (compiled, twin.decode_rows)]
    assert outcomes[0] == outcomes[1]


def outcome(function: Any, sent: bytes, count: int, kinds: np.ndarray, scales: np.ndarray) -> object:
    try:
        columns, refused = function(np.frombuffer(sent, np.uint8), count, kinds, scales)
    except ValueError as error:
        return str(error)
    return [tuple(part.tolist() for part in parts) for parts in columns], refused.tolist()
