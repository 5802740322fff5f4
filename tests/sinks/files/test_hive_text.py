"""Text with Hive's delimiters: a reader written after LazySimpleSerDe finds every value again."""

from __future__ import annotations

import base64
import datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyarrow import types as t

from ingest.sinks.files.delimited import Delimited
from ingest.sinks.files.hive_text import HiveText
from ingest.sinks.files.settings import DelimitedSettings, FilesSettings

SEPARATORS = "\x01\x02\x03\x04\x05\x06\x07\x08"
TYPES = [
    pa.string(),
    pa.int64(),
    pa.bool_(),
    pa.binary(),
    pa.date32(),
    pa.list_(pa.string()),
    pa.map_(pa.string(), pa.int32()),
    pa.struct([("a", pa.string()), ("b", pa.list_(pa.int32()))]),
    pa.list_(pa.struct([("x", pa.string()), ("y", pa.map_(pa.int32(), pa.list_(pa.string())))])),
]
TEXTS = st.text(st.sampled_from("ab\x01\x02\x03\x05\\N\n\rnré"), max_size=6)


def values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Values that Hive's text can tell apart: not a list of one null or one empty thing."""
    if t.is_string(kind):
        return st.none() | TEXTS
    if t.is_binary(kind):
        return st.none() | st.binary(max_size=5)
    if t.is_boolean(kind):
        return st.none() | st.booleans()
    if t.is_date(kind):
        return st.none() | st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 1, 1))
    if t.is_integer(kind):
        return st.none() | st.integers(-(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1)
    if t.is_map(kind):
        keys = values(kind.key_type).filter(lambda key: key is not None)
        entries = st.dictionaries(keys, values(kind.item_type), max_size=3).map(lambda found: list(found.items()))
        return st.none() | entries.filter(lambda found: found != [("", None)])
    if t.is_list(kind):
        items = st.lists(values(kind.value_type), max_size=3)
        return st.none() | items.filter(lambda found: len(found) != 1)
    return st.none() | st.fixed_dictionaries({field.name: values(field.type) for field in kind})


def split(text: str, separator: str) -> list[str]:
    """By separators that are not escaped."""
    parts, part, at = [], "", 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            part += text[at : at + 2]
            at += 2
        elif text[at] == separator:
            parts.append(part)
            part = ""
            at += 1
        else:
            part += text[at]
            at += 1
    return [*parts, part]


def unescaped(text: str) -> str:
    found, at = "", 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            found += {"n": "\n", "r": "\r"}.get(text[at + 1], text[at + 1])
            at += 2
        else:
            found += text[at]
            at += 1
    return found


def read(text: str, kind: pa.DataType, level: int) -> Any:
    """As LazySimpleSerDe: null first, then by the type."""
    if text == "\\N":
        return None
    if t.is_map(kind):
        parts = [split(part, SEPARATORS[level + 1]) for part in split(text, SEPARATORS[level])] if text else []
        return [(read(key, kind.key_type, level + 2), read(item, kind.item_type, level + 2)) for key, item in parts]
    if t.is_list(kind):
        return [read(part, kind.value_type, level + 1) for part in split(text, SEPARATORS[level])] if text else []
    if t.is_struct(kind):
        parts = split(text, SEPARATORS[level])
        return {field.name: read(part, field.type, level + 1) for field, part in zip(kind, parts, strict=True)}
    if t.is_string(kind):
        return unescaped(text)
    if t.is_binary(kind):
        return base64.b64decode(text)
    if t.is_boolean(kind):
        return {"true": True, "false": False}[text]
    return datetime.date.fromisoformat(text) if t.is_date(kind) else int(text)


@st.composite
def tables(draw: st.DrawFn) -> pa.RecordBatch:
    kinds = draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=3))
    count = draw(st.integers(1, 4))
    columns = [draw(st.lists(values(kind), min_size=count, max_size=count)) for kind in kinds]
    arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=[f"c{index}" for index in range(len(kinds))])


@given(tables(), st.integers(0, 2))
@example(pa.record_batch({"c0": pa.array(["\\N", "", None, "\\", "a\x01b\nc"])}), 0)
def test_every_value_is_found_again(batch: pa.RecordBatch, skip: int) -> None:
    batch = batch.slice(min(skip, batch.num_rows - 1))
    texts = HiveText(DelimitedSettings()).rows(batch.columns).texts.to_pylist()
    assert not any("\n" in text for text in texts)
    for text, row in zip(texts, batch.to_pylist(), strict=True):
        parts = split(text, SEPARATORS[0])
        found = [read(part, field.type, 1) for part, field in zip(parts, batch.schema, strict=True)]
        assert found == list(row.values())


@given(tables())
def test_without_escaping_a_text_that_could_be_misread_is_refused(batch: pa.RecordBatch) -> None:
    form = Delimited(FilesSettings(url="x", format="delimited", delimited=DelimitedSettings(escaped_by=None)))
    prepared = form.prepare(batch)
    bad = {item.row for item in prepared.refused}
    assert bad == {row for row, value in enumerate(batch.to_pylist()) if misread(value)}
    kept = [text for row, text in enumerate(batch.to_pylist()) if row not in bad]
    assert prepared.batch.num_rows == len(kept)


def misread(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(misread, value.values()))
    if isinstance(value, list | tuple):
        return any(map(misread, value))
    return isinstance(value, str) and (value == "\\N" or any(mark in value for mark in SEPARATORS + "\n\r"))


def test_numbers_and_times_read_as_java_reads_them() -> None:
    columns = [
        pa.array([1.5, float("nan"), float("-inf"), None]),
        pa.array([0, 1, 1_700_000_000_123_456, None], pa.timestamp("us", tz="Europe/Berlin")),
    ]
    texts = HiveText(DelimitedSettings(fields_terminated_by="|")).rows(columns).texts.to_pylist()
    assert texts == [
        "1.5|1970-01-01 00:00:00.000000",
        "NaN|1970-01-01 00:00:00.000001",
        "-Infinity|2023-11-14 22:13:20.123456",
        "\\N|\\N",
    ]


def test_what_is_nested_deeper_than_there_are_separators_is_refused() -> None:
    kind: pa.DataType = pa.string()
    for _ in range(8):
        kind = pa.list_(kind)
    batch = pa.RecordBatch.from_arrays([pa.array([1, 2]), pa.array([None, []], kind)], names=["id", "deep"])
    prepared = Delimited(FilesSettings(url="x", format="delimited")).prepare(batch)
    assert [(item.row, item.reason) for item in prepared.refused] == [
        (1, "deep: nested deeper than Hive has separators")
    ]
    assert prepared.batch.column(0).to_pylist() == ["1\x01\\N"]


@pytest.mark.parametrize(
    "wrong",
    [{"fields_terminated_by": "7"}, {"fields_terminated_by": "||"}, {"escaped_by": "\x01"}, {"null_string": "a\x01"}],
)
def test_delimiters_that_could_not_be_read_back_are_no_settings(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        DelimitedSettings(**wrong)
