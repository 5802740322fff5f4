"""``regex`` and ``grok``: the named groups of a pattern become columns."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import Records, State, Transformed
from ingest.errors import ConfigError
from ingest.transforms.parsers.parser import Parser
from ingest.transforms.parsers.typed import TypedColumns
from ingest.transforms.refusals import Refusals
from ingest.transforms.regexes import check_regex

_TOKEN = re.compile(r"\\Q.*?(?:\\E|\Z)|\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]|\((?!\?)", re.DOTALL)
_GROUP = re.compile(r"\(\?P?<([A-Za-z_]\w*)>")


class Pattern(Parser):
    """The pattern (RE2) may match anywhere in a line unless it is anchored. A group that took no part is null,
    one that matched nothing is an empty text."""

    def __init__(self, pattern: str, typed: TypedColumns, *, renamed: dict[str, str] | None = None) -> None:
        """``renamed`` gives groups the names that RE2 does not allow. Raises ``ConfigError``."""
        self._regex = _only_named(check_regex(pattern, "pattern"))
        names = _GROUP.findall(pattern)
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ConfigError(f"pattern: two groups are named {twice[0]}", setting="pattern")
        if not names:
            hint = "name the parts that become columns: (?P<level>[A-Z]+)"
            raise ConfigError("pattern: there is no named group", hint=hint, setting="pattern")
        self._names = renamed or {}
        self._typed = typed
        known = [self._names.get(name, name) for name in names]
        for name in typed.kinds:
            if name not in known:
                hint = f"the groups are {', '.join(known)}"
                raise ConfigError(f"types: the pattern has no group {name}", hint=hint, setting="types")

    def parse(self, records: Records, lines: pa.StringArray, state: State) -> Transformed:
        groups = pc.extract_regex(lines, self._regex)
        refusals = Refusals()
        missed = np.flatnonzero(np.asarray(pc.and_(groups.is_null(), lines.is_valid())))
        refusals.add(missed, ["the line does not match the pattern"] * len(missed))
        columns = self._absent_as_null(lines, groups)
        names = [self._names.get(field.name, field.name) for field in groups.type]
        texts = pa.RecordBatch.from_arrays(columns, names=names)
        return self._typed.finish(records, texts, refusals)

    def _absent_as_null(self, lines: pa.StringArray, groups: pa.StructArray) -> list[pa.Array]:
        """RE2's texts do not tell an empty group from an absent one; its spans do, and are asked if need be."""
        columns: list[pa.Array] = groups.flatten()
        empty = [bool(pc.any(pc.equal(column, "")).as_py()) for column in columns]
        if not any(empty):
            return columns
        spans = pc.extract_regex_span(lines, self._regex).flatten()
        return [
            pc.if_else(span.is_valid(), column, pa.scalar(None, pa.string())) if some_empty else column
            for column, span, some_empty in zip(columns, spans, empty, strict=True)
        ]


def _only_named(pattern: str) -> str:
    """Groups without a name become groups that are not kept: Arrow takes only patterns that name all they keep."""
    return _TOKEN.sub(lambda token: "(?:" if token[0] == "(" else token[0], pattern)
