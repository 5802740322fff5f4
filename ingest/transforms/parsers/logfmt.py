"""``logfmt``: ``key=value key="a value"``, one record a line."""

from __future__ import annotations

import json
import re

import numpy as np
import pyarrow as pa

from ingest.connectors import Records, State, Transformed
from ingest.transforms.found_columns import marked
from ingest.transforms.parsers.parser import Parser
from ingest.transforms.parsers.typed import TypedColumns
from ingest.transforms.refusals import Refusals

MAX_COLUMNS = 1000
_PAIR = re.compile(r'[ \t]*([^\s="]+)=(?:"((?:[^"\\]|\\.)*)"(?=[ \t]|\Z)|(?!")([^ \t]*))[ \t]*', re.DOTALL)


class Logfmt(Parser):
    """Columns are the keys of the batch's lines, in the order in which they are first seen; a line that lacks
    one has null there. Quoted values are unescaped as JSON's are; ``key=`` is an empty text.

    A word without ``=``, a key that stands twice, and the key beyond the thousandth are refused.
    """

    def __init__(self, typed: TypedColumns) -> None:
        self._typed = typed

    def parse(self, records: Records, lines: pa.StringArray, state: State) -> Transformed:
        refusals = Refusals()
        columns: dict[str, tuple[list[int], list[str]]] = {}
        for row, line in enumerate(lines.to_pylist()):
            try:
                pairs = {} if line is None else pairs_of(line)
                if len(columns) + sum(key not in columns for key in pairs) > MAX_COLUMNS:
                    raise NotLogfmt(f"its keys would make more than {MAX_COLUMNS} columns")
            except NotLogfmt as error:
                refusals.add([row], [f"logfmt: {error}"])
                continue
            for key, value in pairs.items():
                rows, values = columns.setdefault(key, ([], []))
                rows.append(row)
                values.append(value)
        texts = [_spread(rows, values, len(lines)) for rows, values in columns.values()]
        schema = pa.schema(marked([pa.field(name, pa.string()) for name in columns]))
        return self._typed.finish(records, pa.RecordBatch.from_arrays(texts, schema=schema), refusals)


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


def _spread(rows: list[int], values: list[str], count: int) -> pa.Array:
    if len(rows) == count:
        return pa.array(values, pa.string())
    places = np.zeros(count, dtype=np.int64)
    places[rows] = np.arange(len(rows))
    absent = np.ones(count, dtype=bool)
    absent[rows] = False
    return pa.array(values, pa.string()).take(pa.array(places, mask=absent))
