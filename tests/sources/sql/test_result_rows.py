"""Rows of MariaDB's prepared statements: the kernel against its twin."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.mysql import result_rows_twin as twin

try:
    from ingest.sources.mysql import _result_rows as compiled
except ImportError:
    compiled = None

needs_kernel = pytest.mark.skipif(compiled is None, reason="no compiled kernel")


def sized(value: bytes) -> bytes:
    return bytes([len(value)]) + value


def row(values: list[bytes | None]) -> bytes:
    nulls = sum(1 << (field + 2) for field, value in enumerate(values) if value is None)
    head = b"\0" + nulls.to_bytes((len(values) + 9) // 8, "little")
    return head + b"".join(value for value in values if value is not None)


def packet(payload: bytes, number: int = 0) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([number]) + payload


DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=3).map(lambda number: format(number, "f").encode())
MOMENTS = st.tuples(
    st.integers(0, 65535), st.integers(0, 14), st.integers(0, 33), *[st.integers(0, 61)] * 3, st.integers(0, 2**32 - 1)
).map(lambda parts: struct.pack("<HBBBBBI", *parts))
TIMES = st.tuples(
    st.integers(0, 1),
    st.sampled_from([0, 0, 1, 34]),
    st.integers(0, 24),
    *[st.integers(0, 61)] * 2,
    st.integers(0, 2**20),
).map(lambda parts: struct.pack("<BIBBBI", *parts))
CUT = st.sampled_from([0, 4, 7, 8, 11, 12])
SIZED = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=9).map(str.encode),
    DECIMALS,
    st.builds(lambda value, size: value[:size], MOMENTS, CUT),
    st.builds(lambda value, size: value[:size], TIMES, CUT),
)
FIXED = st.sampled_from([1, 2, 4, 8]).flatmap(lambda size: st.binary(min_size=size, max_size=size))


def cell(kind: int) -> st.SearchStrategy[bytes | None]:
    own = FIXED if kind <= twin.FIXED8 else SIZED.map(sized)
    if kind <= twin.FIXED8:
        width = twin.WIDTHS[kind]
        own = st.binary(min_size=width, max_size=width)
    return st.one_of(st.none(), own, st.binary(max_size=3)) if kind != twin.NULLS else st.none()


@needs_kernel
@given(st.data())
def test_kernel_and_twin_decode_any_bytes_alike(data: st.DataObject) -> None:
    kinds = np.array(data.draw(st.lists(st.integers(0, 11), min_size=1, max_size=4)), np.int32)
    scales = np.array(data.draw(st.lists(st.integers(0, 38), min_size=len(kinds), max_size=len(kinds))), np.int32)
    rows = [row([data.draw(cell(int(kind))) for kind in kinds]) for _ in range(data.draw(st.integers(0, 4)))]
    sent = bytearray(b"".join(rows))
    if sent and data.draw(st.booleans()):
        sent[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
    lengths = np.array([len(each) for each in rows], np.int64)
    starts = np.cumsum(lengths) - lengths
    arguments = (np.frombuffer(bytes(sent), np.uint8), starts, lengths, kinds, scales)
    assert outcome(compiled.decode_rows, *arguments) == outcome(twin.decode_rows, *arguments)


def outcome(function: Any, *arguments: Any) -> object:
    try:
        columns, refused = function(*arguments)
    except ValueError as error:
        return str(error)
    return [tuple(part.tolist() for part in parts) for parts in columns], refused.tolist()


@needs_kernel
@given(
    st.lists(st.one_of(st.binary(max_size=9).map(lambda rest: b"\0" + rest), st.binary(max_size=3)), max_size=6),
    st.integers(0, 5),
    st.integers(0, 60),
)
def test_kernel_and_twin_find_the_same_packets(payloads: list[bytes], most: int, end: int) -> None:
    sent = b"".join(map(packet, payloads))
    assert found(compiled.packets, sent, most, min(end, len(sent))) == found(
        twin.packets, sent, most, min(end, len(sent))
    )


def found(function: Any, sent: bytes, most: int, end: int) -> object:
    memory = np.array(list(sent), np.uint8)
    starts, lengths = np.zeros(most, np.int64), np.zeros(most, np.int64)
    return function(memory, 0, end, starts, lengths), starts.tolist(), lengths.tolist(), memory.tolist()


@pytest.mark.parametrize("function", [twin.packets, *([compiled.packets] if compiled else [])])
def test_a_row_of_several_packets_is_put_together(function: Any) -> None:
    whole = b"\0" + bytes(range(256)) * 131072  # 32 MiB and a byte: two whole packets and a short one
    parts = [whole[at : at + 0xFFFFFF] for at in range(0, len(whole), 0xFFFFFF)]
    sent = b"".join(packet(part, number) for number, part in enumerate(parts)) + packet(b"\0end", 3)
    memory = np.frombuffer(sent, np.uint8).copy()
    starts, lengths = np.zeros(5, np.int64), np.zeros(5, np.int64)
    assert function(memory, 0, len(sent) - 9, starts, lengths)[:3] == (twin.MORE, 0, 0)
    outcome, rows, at, _ = function(memory, 0, len(sent), starts, lengths)
    assert (outcome, rows, at) == (twin.MORE, 2, len(sent))
    assert memory[starts[0] : starts[0] + lengths[0]].tobytes() == whole
    assert memory[starts[1] : starts[1] + lengths[1]].tobytes() == b"\0end"
