"""What a schema change means under each contract."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ingest.errors import FormatError
from ingest.formats.schema import merge
from ingest.formats.widening import MAX_FIELDS, count_fields

OLD = pa.schema([pa.field("a", pa.int32(), nullable=False), pa.field("b", pa.string())])


def schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


@pytest.mark.parametrize("contract", ["evolve", "freeze", "dead-letter"])
def test_the_first_schema_is_taken_as_it_is(contract: str) -> None:
    new = schema(a=pa.dictionary(pa.int8(), pa.string()), b=pa.null())
    merged = merge(None, new, contract)  # type: ignore[arg-type]
    assert merged.schema == schema(a=pa.string(), b=pa.null())
    assert not merged.clashes


def test_evolve_adds_widens_and_relaxes() -> None:
    merged = merge(OLD, schema(c=pa.bool_(), b=pa.string(), a=pa.int64()))
    assert merged.schema == schema(a=pa.int64(), b=pa.string(), c=pa.bool_())
    assert not merged.clashes


def test_evolve_keeps_the_old_column_where_it_clashes_and_takes_the_rest() -> None:
    merged = merge(OLD, schema(b=pa.int64(), c=pa.bool_()))
    assert merged.schema.names == ["a", "b", "c"]
    assert merged.schema.field("b").type == pa.string()
    assert merged.clashes == (("b", pa.string(), pa.int64()),)


@pytest.mark.parametrize("contract", ["freeze", "dead-letter"])
def test_the_strict_contracts_name_every_difference_and_change_nothing(contract: str) -> None:
    new = schema(a=pa.int64(), b=pa.bool_(), c=pa.bool_())
    merged = merge(OLD, new, contract)  # type: ignore[arg-type]
    assert merged.schema == OLD
    assert merged.clashes == (
        ("a", pa.int32(), pa.int64()),
        ("b", pa.string(), pa.bool_()),
        ("c", None, pa.bool_()),
    )


@pytest.mark.parametrize("contract", ["freeze", "dead-letter"])
def test_narrower_null_and_missing_columns_are_no_difference(contract: str) -> None:
    for new in (schema(a=pa.int8(), b=pa.null()), schema(), schema(b=pa.dictionary(pa.int8(), pa.string()))):
        assert not merge(OLD, new, contract).clashes  # type: ignore[arg-type]


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(FormatError, match="two columns have the name 'a'"):
        merge(OLD, pa.schema([("a", pa.int8()), ("a", pa.int8())]))


def test_a_topic_stops_growing_at_a_limit() -> None:
    merged = merge(OLD, schema(**{f"c{n}": pa.int8() for n in range(3000)}))
    assert len(merged.schema) == MAX_FIELDS
    assert len(merged.clashes) == 3002 - MAX_FIELDS
    inner = pa.schema([("a", pa.int32()), ("b", pa.struct([(f"x{n}", pa.int8()) for n in range(3000)]))])
    grown = merge(schema(a=pa.int32(), b=pa.struct([("x0", pa.int8())])), inner)
    assert sum(count_fields(field.type) for field in grown.schema) <= MAX_FIELDS
    assert [clash[0] for clash in grown.clashes] == ["b"]


def test_metadata_of_the_topic_stays() -> None:
    assert merge(OLD.with_metadata({"k": "v"}), schema(c=pa.int8())).schema.metadata == {b"k": b"v"}
