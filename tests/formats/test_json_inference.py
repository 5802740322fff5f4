"""The schema that JSON values have."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.connectors import Records
from ingest.formats import format_named
from ingest.formats.schema import infer_schema
from ingest.formats.widening import MAX_FIELDS


def inferred(*texts: str | bytes) -> dict[str, str]:
    values = pa.array([text.encode() if isinstance(text, str) else text for text in texts], pa.binary())
    return {field.name: str(field.type) for field in infer_schema(values)}


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "-9223372036854775808"], "int64"),
        (["1", "1.5"], "double"),
        (["1.0"], "double"),
        (["-0"], "double"),
        (["1e5"], "double"),
        (["9223372036854775808"], "decimal128(20, 0)"),
        (["1", "18446744073709551616"], "decimal128(38, 0)"),
        (["true", "null"], "bool"),
        (["null"], "null"),
        (['"2024-01-31T00:00:00Z"'], "string"),
        (['"1"'], "string"),
        (["[]"], "list<item: null>"),
        (["[]", "[null]", "[1]", "[2.5]"], "list<item: double>"),
        (["{}"], "struct<>"),
        (['{"x":1}', '{"y":"a"}', "null"], "struct<x: int64, y: string>"),
        (['[{"x":1},{"y":null}]'], "list<item: struct<x: int64, y: null>>"),
    ],
)
def test_types_of_values(texts: list[str], kind: str) -> None:
    assert inferred(*(f'{{"a":{text}}}' for text in texts)) == {"a": kind}


def test_columns_keep_the_order_in_which_they_came() -> None:
    assert list(inferred('{"b":1}', '{"a":1,"b":2}', '{"c":1}')) == ["b", "a", "c"]


@pytest.mark.parametrize(
    "clash", ['{"a":"x"}', '{"a":[1]}', '{"a":true}', '{"a":{}}', '{"b":[1,"x"]}', "[]", "", '{"a":1e999}', '{"a":1']
)
def test_what_clashes_or_is_no_object_has_no_part(clash: str) -> None:
    assert inferred('{"a":1}', clash) == {"a": "int64"}


def test_late_changes_are_found_beyond_the_first_sample() -> None:
    texts = ['{"a":1}'] * 3000 + ['{"a":1.5}'] + ['{"a":2,"b":"x"}'] * 3000 + ['{"c":null}']
    assert inferred(*texts) == {"a": "double", "b": "string", "c": "null"}


def test_a_known_type_stays_as_long_as_values_fit_it() -> None:
    known = pa.schema([("n", pa.int32()), ("t", pa.timestamp("ms", "UTC")), ("d", pa.decimal128(10, 2))])
    assert infer_schema_of(['{"n":5,"t":"2024-01-31T00:00:00Z","d":1}'], known) == known
    found = infer_schema_of(['{"n":5000000000,"t":"2024-01-31T00:00:00Z","d":1.5,"more":[1]}'], known)
    assert found == pa.schema([("n", pa.int64()), *list(known)[1:], ("more", pa.list_(pa.int64()))])


def test_a_text_that_is_no_timestamp_does_not_change_the_column() -> None:
    known = pa.schema([("t", pa.timestamp("ms", "UTC"))])
    assert infer_schema_of(['{"t":"yesterday","b":1}'], known) == known


def infer_schema_of(texts: list[str], known: pa.Schema) -> pa.Schema:
    return infer_schema(pa.array(texts), known)


def test_data_used_as_names_ends_at_a_limit() -> None:
    texts = [json.dumps({f"key-{n}-{m}": 1 for m in range(100)}) for n in range(40)]
    assert len(inferred(*texts)) <= MAX_FIELDS


def test_deep_nesting_is_left_out() -> None:
    deep = '{"a":' * 70 + "1" + "}" * 70
    assert inferred('{"b":1}', deep) == {"b": "int64"}


OBJECTS = st.dictionaries(
    st.sampled_from(["a", "b", "c", "é"]),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y"]), inner, max_size=2),
        max_leaves=5,
    ),
    max_size=4,
)


@given(st.lists(OBJECTS, max_size=20))
@settings(max_examples=100)
def test_what_is_read_by_its_own_schema_is_what_was_written(rows: list[dict[str, Any]]) -> None:
    values = pa.array([json.dumps(row).encode() for row in rows], pa.binary())
    decoded = format_named("json").decode(Records(value=values))
    refused = {row for each in decoded.rejected for row in each.rows.to_pylist()}
    good = [row for number, row in enumerate(rows) if number not in refused]
    assert len(good) == len(decoded.records)
    for row, found in zip(good, decoded.records.value.to_pylist(), strict=True):
        assert same(row, found)


def same(written: Any, found: Any) -> bool:
    """Equal, where a missing name is null."""
    if isinstance(written, dict):
        return (
            found is not None
            and all(same(written.get(name), item) for name, item in found.items())
            and set(written) <= set(found)
        )
    if isinstance(written, list):
        return len(written) == len(found) and all(map(same, written, found))
    if isinstance(written, bool) or isinstance(found, bool):
        return written is found
    return bool(written == found)
