"""``zeek``: the tab-separated logs of Zeek (once Bro), named and typed by their header lines."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import Records, State, Transformed
from ingest.transforms.conversion import Conversion
from ingest.transforms.parsers.fields import Cutter, columns_of, unique_names
from ingest.transforms.parsers.headed import Headed, NoColumns
from ingest.transforms.parsers.parser import parsed
from ingest.transforms.refusals import Refusals
from ingest.transforms.times import TimeReader

_TIME = pa.timestamp("us", tz="UTC")
_KINDS = {
    "time": _TIME,
    "interval": pa.float64(),
    "double": pa.float64(),
    "count": pa.int64(),
    "int": pa.int64(),
    "port": pa.int32(),
    "bool": pa.bool_(),
}
_LIST = re.compile(r"(?:set|vector|table|list)\[(\w+)\]")
_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")
_DEFAULTS = {"separator": "\t", "set_separator": ",", "empty_field": "(empty)", "unset_field": "-"}


class Zeek(Headed):
    """Columns as ``#fields`` calls them, of the types of ``#types``: addresses, names and the like are text, sets
    and vectors are lists. The first column of type ``time`` is the record's timestamp."""

    def __init__(self) -> None:
        self._times = TimeReader("epoch_s")

    def directive(self, line: str, state: dict[str, Any]) -> None:
        if line.startswith("#separator"):
            state["separator"] = _unescaped(line.removeprefix("#separator").strip(" ")) or "\t"
            return
        separator = state.get("separator", _DEFAULTS["separator"])
        name, *values = line[1:].split(separator)
        if name == "fields":
            state["fields"] = unique_names(values)
            state.pop("types", None)
        elif name == "types":
            state["types"] = values
        elif name in _DEFAULTS and values:
            state[name] = values[0]

    def lines_between(self, records: Records, lines: pa.StringArray, state: State) -> Transformed:
        names = state.get("fields")
        if not names:
            raise NoColumns("no #fields line came before")
        types = state.get("types", [])
        if types and len(types) != len(names):
            raise NoColumns(f"#fields names {len(names)} columns and #types has {len(types)}")
        said = {**_DEFAULTS, **state}
        refusals = Refusals()
        tombstones = np.asarray(lines.is_null())
        texts = columns_of(lines, Cutter(said["separator"], quotes=False), names, refusals, tombstones)
        arrays = [
            self._column(name, column, kind, said, refusals)
            for name, column, kind in zip(names, texts.columns, types or ["string"] * len(names), strict=True)
        ]
        made = pa.RecordBatch.from_arrays(arrays, names=names)
        stamps = [column for column, kind in zip(arrays, types, strict=False) if kind == "time"]
        return parsed(records, made, refusals, timestamp=stamps[0] if stamps else None)

    def _column(self, name: str, texts: pa.Array, kind: str, said: dict[str, Any], refusals: Refusals) -> pa.Array:
        unset = pc.equal(texts, said["unset_field"])
        texts = pc.if_else(unset, pa.scalar(None, pa.string()), texts)
        inner = _LIST.fullmatch(kind)
        empty = pc.fill_null(pc.equal(texts, said["empty_field"]), False)
        if inner is None:
            return self._typed(name, pc.if_else(empty, "", texts), kind, refusals)
        lists = pc.split_pattern(texts, said["set_separator"])
        rows = np.repeat(np.arange(len(lists)), np.asarray(pc.fill_null(pc.list_value_length(lists), 0)))
        inside = Refusals()
        values = self._typed(name, pc.if_else(empty.take(pa.array(rows)), None, lists.flatten()), inner[1], inside)
        refusals.add([rows[place] for place in inside.reasons], inside.reasons.values())
        return _lists(values, rows, np.asarray(texts.is_null()), np.asarray(empty))

    def _typed(self, name: str, texts: pa.Array, kind: str, refusals: Refusals) -> pa.Array:
        wanted = _KINDS.get(kind)
        if wanted is None:
            return texts
        if kind == "bool":
            texts = pc.replace_with_mask(texts, pc.fill_null(pc.equal(texts, "T"), False), pa.scalar("true"))
            texts = pc.replace_with_mask(texts, pc.fill_null(pc.equal(texts, "F"), False), pa.scalar("false"))
        batch = pa.RecordBatch.from_arrays([texts], names=[name])
        return Conversion({name: wanted}, self._times).apply(batch, refusals).column(0)


def _lists(values: pa.Array, rows: np.ndarray, null: np.ndarray, empty: np.ndarray) -> pa.Array:
    """The values back in their lists: ``rows`` says whose each is; an empty list has one, which is no value."""
    kept = values.filter(pa.array(~empty[rows])) if len(rows) else values
    counts = np.bincount(rows, minlength=len(null)) if len(rows) else np.zeros(len(null), np.int64)
    counts = np.where(null | empty, 0, counts)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), kept, mask=pa.array(null))


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
