"""The lattice of column types, as docs/formats/schemas.md has it."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typed_columns import LEAVES, kinds

from ingest.formats.widening import Clash, count_fields, join, plain

DECIMAL = pa.decimal128
A, B = pa.field("a", pa.int8()), pa.field("b", pa.bool_())


@pytest.mark.parametrize(
    ("old", "new", "joined"),
    [
        (pa.null(), pa.string(), pa.string()),
        (pa.int8(), pa.int32(), pa.int32()),
        (pa.uint8(), pa.uint32(), pa.uint32()),
        (pa.uint8(), pa.int8(), pa.int16()),
        (pa.uint32(), pa.int8(), pa.int64()),
        (pa.uint64(), pa.int8(), DECIMAL(20, 0)),
        (pa.float32(), pa.float64(), pa.float64()),
        (pa.int8(), pa.float16(), pa.float16()),
        (pa.int16(), pa.float32(), pa.float32()),
        (pa.int32(), pa.float32(), pa.float64()),
        (pa.int64(), pa.float64(), pa.float64()),
        (pa.int64(), DECIMAL(10, 2), DECIMAL(21, 2)),
        (DECIMAL(10, 2), DECIMAL(8, 5), DECIMAL(13, 5)),
        (DECIMAL(38, 0), DECIMAL(38, 10), pa.decimal256(48, 10)),
        (pa.string(), pa.large_string(), pa.large_string()),
        (pa.binary(3), pa.binary(4), pa.binary()),
        (pa.binary(3), pa.large_binary(), pa.large_binary()),
        (pa.date32(), pa.date64(), pa.date64()),
        (pa.time32("s"), pa.time32("ms"), pa.time32("ms")),
        (pa.time32("s"), pa.time64("us"), pa.time64("us")),
        (pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("ns")),
        (pa.timestamp("s", "UTC"), pa.timestamp("us", "Europe/Berlin"), pa.timestamp("us", "UTC")),
        (pa.duration("s"), pa.duration("us"), pa.duration("us")),
        (pa.dictionary(pa.int8(), pa.string()), pa.string(), pa.string()),
        (pa.list_(pa.int8()), pa.list_(pa.float64()), pa.list_(pa.float64())),
        (pa.list_(pa.null()), pa.large_list(pa.int8()), pa.large_list(pa.int8())),
        (pa.list_(pa.int8(), 2), pa.list_(pa.int8(), 3), pa.list_(pa.int8())),
        (pa.map_(pa.string(), pa.int8()), pa.map_(pa.string(), pa.int16()), pa.map_(pa.string(), pa.int16())),
        (
            pa.struct([("a", pa.int8())]),
            pa.struct([("b", pa.bool_())]),
            pa.struct([("a", pa.int8()), ("b", pa.bool_())]),
        ),
    ],
)
def test_two_types_join(old: pa.DataType, new: pa.DataType, joined: pa.DataType) -> None:
    assert join(old, new) == joined


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (pa.bool_(), pa.int8()),
        (pa.string(), pa.int64()),
        (pa.string(), pa.binary()),
        (pa.float64(), DECIMAL(10, 2)),
        (pa.date32(), pa.timestamp("s")),
        (pa.timestamp("s"), pa.timestamp("s", "UTC")),
        (pa.struct([]), pa.list_(pa.null())),
        (pa.struct([]), pa.map_(pa.string(), pa.int8())),
        (pa.decimal256(76, 0), pa.decimal256(76, 10)),
    ],
)
def test_these_clash(old: pa.DataType, new: pa.DataType) -> None:
    for pair in ((old, new), (new, old)):
        with pytest.raises(Clash):
            join(*pair)


def test_a_clash_names_the_column_inside() -> None:
    old = pa.struct([("a", pa.list_(pa.struct([("b", pa.int8())])))])
    new = pa.struct([("a", pa.list_(pa.struct([("b", pa.string())])))])
    with pytest.raises(Clash) as caught:
        join(old, new)
    assert caught.value.path == "a[].b"


def test_null_is_allowed_if_either_allows_it() -> None:
    strict = pa.struct([pa.field("a", pa.int8(), nullable=False)])
    assert not join(strict, strict).field("a").nullable
    assert join(strict, pa.struct([("a", pa.int8())])).field("a").nullable
    assert join(strict, pa.struct([])).field("a").nullable


def joined(old: pa.DataType, new: pa.DataType) -> pa.DataType | None:
    try:
        return join(old, new)
    except Clash:
        return None


@given(st.sampled_from(LEAVES), st.sampled_from(LEAVES), st.sampled_from(LEAVES))
def test_the_order_of_scalars_does_not_matter(a: pa.DataType, b: pa.DataType, c: pa.DataType) -> None:
    assert joined(a, b) == joined(b, a)
    ab, bc = joined(a, b), joined(b, c)
    # But for numbers of several kinds: there one order may end in a wider type than another, never in a narrower.
    if ab is None or bc is None or any(pa.types.is_floating(kind) or pa.types.is_decimal(kind) for kind in (ab, bc, c)):
        return
    assert joined(ab, c) == joined(a, bc)


@given(kinds(), kinds())
def test_a_join_holds_both(a: pa.DataType, b: pa.DataType) -> None:
    both = joined(a, b)
    assert joined(a, a) == plain(a)
    if both is not None:
        assert joined(both, a) == both
        assert joined(both, b) == both


def test_fields_are_counted_at_every_level() -> None:
    assert count_fields(pa.struct([("a", pa.list_(pa.struct([("b", pa.int8())])))])) == 4
