"""``logfmt``: ``key=value key="a value"``, one record a line."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import numpy as np
import pyarrow as pa

from ingest.connectors import Records, State, Transformed
from ingest.transforms.found_columns import marked
from ingest.transforms.parsers import kernels
from ingest.transforms.parsers.parser import Parser
from ingest.transforms.parsers.typed import TypedColumns
from ingest.transforms.refusals import Refusals

MAX_COLUMNS = 1000
_PAIR = re.compile(r'[ \t]*([^\x00-\x20="]+)=(?:"((?:[^"\\]|\\.)*)"(?=[ \t]|\Z)|(?!")([^ \t]*))[ \t]*', re.DOTALL)


class Logfmt(Parser):
    """Columns are the keys of the batch's lines, in the order in which they are first seen; a line that lacks
    one has null there. Quoted values are unescaped as JSON's are; ``key=`` is an empty text.

    A word without ``=``, a key that stands twice, and the key beyond the thousandth are refused.
    """

    def __init__(self, typed: TypedColumns) -> None:
        self._typed = typed

    def parse(self, records: Records, lines: pa.StringArray, state: State) -> Transformed:
        refusals = Refusals()
        rows, keys, values = find_pairs(lines, refusals)
        encoded = keys.dictionary_encode()
        if len(encoded.dictionary) > MAX_COLUMNS:
            rows, keys, values = _within_limit(rows, keys, values, refusals)
            encoded = keys.dictionary_encode()
        codes = np.asarray(encoded.indices)
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
        texts = []
        for start, end in pairwise(starts.tolist()):
            places = order[start:end]
            texts.append(_spread(rows[places], values.take(pa.array(places)), len(lines)))
        schema = pa.schema(marked([pa.field(name, pa.string()) for name in encoded.dictionary.to_pylist()]))
        return self._typed.finish(records, pa.RecordBatch.from_arrays(texts, schema=schema), refusals)


Pairs = tuple[np.ndarray, pa.StringArray, pa.StringArray]
"""The row of each pair, ascending, its key and its value."""


def find_pairs(lines: pa.StringArray, refusals: Refusals) -> Pairs:
    """All pairs of all lines, as they stand there; lines that are not in the format are refused."""
    if kernels.pair_lines is None:
        return _by_twin(lines, np.arange(len(lines)), refusals)
    taken, rows, key_ends, keys, value_ends, values = kernels.pair_lines(*kernels.buffers_of(lines))
    found = rows, kernels.texts_of(key_ends, keys), kernels.texts_of(value_ends, values)
    rest = np.flatnonzero(taken == 0)
    if not len(rest):
        return found
    again = _by_twin(lines.take(pa.array(rest)), rest, refusals)
    all_rows = np.concatenate([rows, again[0]])
    order = np.argsort(all_rows, kind="stable")
    both = [pa.concat_arrays([found[part], again[part]]).take(pa.array(order)) for part in (1, 2)]
    return all_rows[order], both[0], both[1]


def _by_twin(lines: pa.StringArray, numbers: np.ndarray, refusals: Refusals) -> Pairs:
    """``numbers`` are the rows of ``lines`` in the batch."""
    rows: list[int] = []
    keys: list[str] = []
    values: list[str] = []
    for row, line in zip(numbers.tolist(), lines.to_pylist(), strict=True):
        try:
            pairs = {} if line is None else pairs_of(line)
        except NotLogfmt as error:
            refusals.add([row], [f"logfmt: {error}"])
            continue
        rows += [row] * len(pairs)
        keys += pairs.keys()
        values += pairs.values()
    return np.array(rows, dtype=np.int32), pa.array(keys, pa.string()), pa.array(values, pa.string())


def _within_limit(rows: np.ndarray, keys: pa.StringArray, values: pa.StringArray, refusals: Refusals) -> Pairs:
    """Leaves out the lines whose keys would make too many columns, each after those before it were counted."""
    known: set[str] = set()
    keep = np.ones(len(rows), dtype=bool)
    for row in np.unique(rows).tolist():
        start, end = np.searchsorted(rows, [row, row + 1]).tolist()
        found = known.union(keys.slice(start, end - start).to_pylist())
        if len(found) > MAX_COLUMNS:
            refusals.add([row], [f"logfmt: its keys would make more than {MAX_COLUMNS} columns"])
            keep[start:end] = False
        else:
            known = found
    mask = pa.array(keep)
    return rows[keep], keys.filter(mask), values.filter(mask)


class NotLogfmt(ValueError):
    """The line is not in the format; the message says what was expected where."""


def pairs_of(line: str) -> dict[str, str]:
    """The keys and values of one line. Raises ``NotLogfmt``."""
    pairs: dict[str, str] = {}
    at = 0
    while at < len(line):
        match = _PAIR.match(line, at)
        if match is None:
            raise NotLogfmt(f"expected key=value at character {at}, found {line[at : at + 24]!r}")
        key, quoted, plain = match.groups()
        if key in pairs:
            raise NotLogfmt(f"the key {key} stands twice, again at character {match.start(1)}")
        pairs[key] = plain if quoted is None else _unescaped(quoted, match.start(2))
        at = match.end()
    if not pairs:
        raise NotLogfmt("the line is empty")
    return pairs


def _unescaped(text: str, at: int) -> str:
    if "\\" not in text:
        return text
    try:
        made: str = json.loads(f'"{text}"', strict=False)
        made.encode()
    except ValueError:
        raise NotLogfmt(f"an escape that JSON does not have, in the value at character {at}") from None
    return made


def _spread(rows: np.ndarray, values: pa.StringArray, count: int) -> pa.StringArray:
    """A column of ``count`` rows that has ``values`` at ``rows`` and is null elsewhere."""
    if len(rows) == count:
        return values
    places = np.zeros(count, dtype=np.int64)
    places[rows] = np.arange(len(rows))
    absent = np.ones(count, dtype=bool)
    absent[rows] = False
    return values.take(pa.array(places, mask=absent))
