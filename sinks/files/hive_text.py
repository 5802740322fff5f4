"""Columns as text with Hive's delimiters, the way LazySimpleSerDe writes and reads it.

A separator per level: columns by the first, what is inside a column by the second, and so on; a map takes two.
Column by column, no step per row. What the text itself cannot tell apart is Hive's own: a list of one empty text
reads back as an empty list, and one of a single null as null.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as t

from ingest.formats.widening import is_list
from ingest.sinks.files.json_values import base64_texts
from ingest.sinks.files.settings import DelimitedSettings

LEVELS = 8
"""Separators that Hive knows unless told of more."""

_SPECIAL_FLOATS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_ESCAPED = {"\n": "n", "\r": "r"}


@dataclass(frozen=True, slots=True)
class Texts:
    """A text per value, none null; ``bad`` marks those that could not be told from something else."""

    texts: pa.Array
    bad: np.ndarray | None = None


class HiveText:
    """The delimiters of one table."""

    def __init__(self, settings: DelimitedSettings) -> None:
        first = (
            settings.fields_terminated_by,
            settings.collection_items_terminated_by,
            settings.map_keys_terminated_by,
        )
        self._separators = (*first, *map(chr, range(4, LEVELS + 1)))
        self._escape = settings.escaped_by
        self._null = settings.null_string
        self._specials = tuple(dict.fromkeys((*self._separators, settings.lines_terminated_by, "\n", "\r")))
        self._null_is_plain = not (self._escape and self._null.startswith(self._escape))

    def rows(self, columns: Sequence[pa.Array]) -> Texts:
        """The text of each row, without its end."""
        return self._joined([self._texts(column, 1) for column in columns], 0)

    def depth(self, kind: pa.DataType) -> int:
        """How many separators a column of that type needs beyond that between columns."""
        if t.is_map(kind):
            return 2 + max(self.depth(kind.key_type), self.depth(kind.item_type))
        if t.is_struct(kind):
            return 1 + max((self.depth(field.type) for field in kind), default=0)
        return 1 + self.depth(kind.value_type) if is_list(kind) else 0

    def _texts(self, column: pa.Array, level: int) -> Texts:
        """``level`` is that of the separator inside the column."""
        kind = column.type
        if t.is_map(kind):
            pairs = [self._texts(_keys(column), level + 2), self._texts(_items(column), level + 2)]
            return self._listed(column, self._joined(pairs, level + 1), level)
        if is_list(kind):
            return self._listed(column, self._texts(column.flatten(), level + 1), level)
        if t.is_struct(kind):
            fields = [self._texts(column.field(index), level + 1) for index in range(kind.num_fields)]
            return self._nulls(column, self._joined(fields, level))
        return self._nulls(column, self._leaf(column))

    def _joined(self, parts: list[Texts], level: int) -> Texts:
        texts = pc.binary_join_element_wise(*(part.texts for part in parts), self._separators[level])
        return Texts(texts, _either([part.bad for part in parts]))

    def _listed(self, column: pa.Array, items: Texts, level: int) -> Texts:
        lengths = column.value_lengths().fill_null(0) if not t.is_map(column.type) else _map_lengths(column)
        ends = np.concatenate([[0], np.cumsum(lengths.to_numpy(zero_copy_only=False))]).astype(np.int64)
        lists = pa.LargeListArray.from_arrays(pa.array(ends), items.texts.cast(pa.string()))
        bad = None
        if items.bad is not None:
            parents = np.repeat(np.arange(len(column)), np.diff(ends))
            bad = np.zeros(len(column), bool)
            bad[parents[items.bad]] = True
        return self._nulls(column, Texts(pc.binary_join(lists, self._separators[level]), bad))

    def _nulls(self, column: pa.Array, found: Texts) -> Texts:
        if not column.null_count:
            return found
        valid = column.is_valid()
        texts = pc.if_else(valid, found.texts, pa.scalar(self._null, found.texts.type))
        bad = None if found.bad is None else found.bad & valid.to_numpy(zero_copy_only=False)
        return Texts(texts, bad)

    def _leaf(self, column: pa.Array) -> Texts:
        kind = column.type
        if t.is_string(kind) or t.is_large_string(kind):
            return self._escaped(column.cast(pa.string()))
        if t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind):
            return Texts(base64_texts(column).cast(pa.string()))
        if t.is_timestamp(kind):
            column = column.cast(pa.timestamp(kind.unit))
        if t.is_duration(kind):
            column = column.cast(pa.int64())
        texts = column.cast(pa.string())
        if t.is_floating(kind):
            for arrow, java in _SPECIAL_FLOATS.items():
                texts = pc.if_else(pc.equal(texts, arrow), java, texts)
        return Texts(texts)

    def _escaped(self, texts: pa.Array) -> Texts:
        found = _present(texts, [*self._specials, *([self._escape] if self._escape else [])])
        bad = self._like_null(texts) if self._null_is_plain else None
        if self._escape is None:
            for mark in found:
                bad = _either([bad, _mask(pc.match_substring(texts, mark))])
            return Texts(texts, bad)
        if self._escape in found:
            texts = pc.replace_substring(texts, self._escape, self._escape * 2)
        for mark in found:
            if mark != self._escape:
                texts = pc.replace_substring(texts, mark, self._escape + _ESCAPED.get(mark, mark))
        return Texts(texts, bad)

    def _like_null(self, texts: pa.Array) -> np.ndarray | None:
        like = _mask(pc.equal(texts, self._null))
        return like if like.any() else None


def _present(texts: pa.Array, marks: Sequence[str]) -> list[str]:
    """Those marks that occur at all, found without a look at each text: most columns have none."""
    data = texts.buffers()[2]
    if data is None or not len(texts):
        return []
    ends = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    content = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
    if not len(content):
        return []
    controls = content.min() < ord(" ")
    return [mark for mark in marks if (controls or mark >= " ") and bool((content == ord(mark)).any())]


def _mask(values: pa.Array) -> np.ndarray:
    found: np.ndarray = values.fill_null(False).to_numpy(zero_copy_only=False)
    return found


def _either(masks: Sequence[np.ndarray | None]) -> np.ndarray | None:
    present = [mask for mask in masks if mask is not None]
    return np.logical_or.reduce(present) if present else None


def _keys(column: pa.MapArray) -> pa.Array:
    return _entries(column, column.keys)


def _items(column: pa.MapArray) -> pa.Array:
    return _entries(column, column.items)


def _entries(column: pa.MapArray, children: pa.Array) -> pa.Array:
    """The children of the column's own slots that are not null, as ``flatten`` gives them for a list."""
    lists = pa.ListArray.from_arrays(column.offsets, children)
    return lists.filter(column.is_valid()).flatten() if column.null_count else lists.flatten()


def _map_lengths(column: pa.MapArray) -> pa.Array:
    lengths = pa.ListArray.from_arrays(column.offsets, column.keys).value_lengths()
    return pc.if_else(column.is_valid(), lengths, 0)
