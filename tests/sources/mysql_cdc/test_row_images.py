"""Events of a binlog: the kernel against its twin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.mysql_cdc import row_images_twin as twin

try:
    from ingest.sources.mysql_cdc import _row_images as compiled
except ImportError:
    compiled = None

pytestmark = pytest.mark.skipif(compiled is None, reason="no compiled kernel")


@st.composite
def wires(draw: st.DrawFn) -> tuple[int, int, int]:
    kind = draw(st.integers(0, 18))
    if kind == twin.DECIMAL:
        precision = draw(st.integers(1, 38))
        return kind, precision, draw(st.integers(0, precision))
    if kind in (twin.TEXT, twin.BYTES):
        return kind, draw(st.integers(1, 4)), 0
    if kind in (twin.NUMBER, twin.BITS):
        return kind, draw(st.integers(1, 8)), 0
    return kind, draw(st.integers(0, 9)) if kind == twin.SLICE else 0, draw(st.integers(0, 6))


def value(wire: tuple[int, int, int]) -> st.SearchStrategy[bytes]:
    kind, size, _ = wire
    if kind in (twin.TEXT, twin.BYTES):
        content = st.one_of(st.binary(max_size=12), st.text(max_size=6).map(str.encode))
        return content.map(lambda each: len(each).to_bytes(size, "little") + each)
    width = twin._size_of(wire, memoryview(b""), 0, 0)
    few = st.integers(0, 255).map(lambda byte: bytes([byte]) * width)
    return st.one_of(st.binary(min_size=width, max_size=width), few)


@given(st.data())
def test_kernel_and_twin_find_and_decode_the_same_rows(data: st.DataObject) -> None:
    layout = data.draw(st.lists(wires(), min_size=1, max_size=9))
    nulls = (len(layout) + 7) // 8
    sides = data.draw(st.integers(1, 2))
    rows = b""
    for _ in range(data.draw(st.integers(0, 3)) * sides):
        missing = data.draw(st.integers(0, 2 ** len(layout) - 1))
        rows += missing.to_bytes(nulls, "little")
        rows += b"".join(data.draw(value(wire)) for place, wire in enumerate(layout) if not missing >> place & 1)
    event = bytearray(bytes([len(layout)]) + b"\xff" * (nulls * sides) + rows)
    if data.draw(st.booleans()):
        event[data.draw(st.integers(0, len(event) - 1))] ^= data.draw(st.integers(1, 255))
    arguments = (
        np.frombuffer(bytes(event), np.uint8),
        np.array([0], np.int64),
        np.array([len(event)], np.int64),
        np.array([sides], np.int64),
        np.array(layout, np.int32),
    )
    assert found(compiled, *arguments) == found(twin, *arguments)


def found(module: Any, data: Any, starts: Any, ends: Any, sides: Any, layout: Any) -> object:
    try:
        places, events = module.images(data, starts, ends, sides, layout)
    except (ValueError, LookupError) as error:
        return str(error)
    columns, refused = module.decode_images(data, np.append(places, -1), layout)
    return (
        places.tolist(),
        events.tolist(),
        [tuple(part.tolist() for part in parts) for parts in columns],
        refused.tolist(),
    )


@given(st.binary(max_size=60), st.sampled_from([2, 16, 19, 23, 31, 166]), st.booleans(), st.booleans())
def test_kernel_and_twin_read_the_same_heads(body: bytes, kind: int, summed: bool, damaged: bool) -> None:
    import struct
    import zlib

    size = 19 + len(body) + 4 * summed
    event = struct.pack("<IBIIIH", 1795427652, kind, 7, size, 2**32 - 5, 1) + body
    event += struct.pack("<I", zlib.crc32(event) ^ damaged) if summed else b""
    data = np.frombuffer(b"\0" + event, np.uint8)
    results = []
    for module in (compiled, twin):
        heads = np.zeros((1, 7), np.int64)
        starts, lengths = np.array([1], np.int64), np.array([size], np.int64)
        damage = module.headers(data, starts, lengths, heads, 4 * summed)
        results.append((damage, heads.tolist() if damage < 0 else []))
    assert results[0] == results[1]
    assert (results[0][0] == 0) == ((summed and damaged) or (kind in (19, 23, 31, 166) and len(body) < 8))
