"""Logs whose lines that begin with ``#`` say what the columns of the next ones are: ``w3c``, ``zeek``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import Records, Rejected, State, Transformed
from ingest.transforms.parsers.parser import PARSE_FAILED, Parser
from ingest.transforms.refusals import Refusals


class Headed(Parser):
    """The state is what the directives of the stream have said so far. Blank lines are no records."""

    stateful = True

    @abstractmethod
    def directive(self, line: str, state: dict[str, Any]) -> None:
        """Takes a line that begins with ``#`` into ``state``, whose values must be JSON."""

    @abstractmethod
    def lines_between(self, records: Records, lines: pa.StringArray, state: State) -> Transformed:
        """Parses lines between two directives; raises ``NoColumns`` if none has named any."""

    def parse(self, records: Records, lines: pa.StringArray, state: State) -> Transformed:
        found: list[Records] = []
        rejected: list[Rejected] = []
        said = dict(state)
        for start, end in self._runs(lines, said):
            part = self._part(records.slice(start, end - start), lines.slice(start, end - start), said)
            found += part.records
            rejected += [replace(each, rows=pc.add(each.rows, start)) for each in part.rejected]
        return Transformed(found, rejected, said)

    def _runs(self, lines: pa.StringArray, said: dict[str, Any]) -> Iterator[tuple[int, int]]:
        """The stretches of lines that are neither blank nor directives; the latter are taken in on the way."""
        text = np.asarray(pc.fill_null(pc.not_equal(pc.ascii_trim_whitespace(lines), ""), True))
        marks = np.asarray(pc.fill_null(pc.starts_with(lines, "#"), False))
        stops = [*np.flatnonzero(marks | ~text).tolist(), len(lines)]
        start = 0
        for stop in stops:
            if stop > start:
                yield start, stop
            if stop < len(lines) and marks[stop]:
                self.directive(lines[stop].as_py(), said)
            start = stop + 1

    def _part(self, records: Records, lines: pa.StringArray, said: State) -> Transformed:
        try:
            return self.lines_between(records, lines, said)
        except NoColumns as error:
            refusals = Refusals()
            refusals.add(range(len(lines)), [str(error)] * len(lines))
            tombstones = np.flatnonzero(np.asarray(pc.is_null(records.value)))
            kept = records.take(pa.array(tombstones)) if len(tombstones) else None
            if kept is not None:
                kept = kept.with_value(pa.nulls(len(kept), pa.struct([])))
            rejected = refusals.without(tombstones).rejected(PARSE_FAILED)
            return Transformed([kept] if kept is not None else [], rejected)


class NoColumns(ValueError):
    """Lines came before any directive named the columns."""
