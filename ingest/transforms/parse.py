"""``parse``: lines of text become typed columns (docs/formats/parsed-lines.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa

from ingest.connectors import Records, State, Transform, Transformed
from ingest.errors import ConnectorError
from ingest.transforms.parse_settings import ParseSettings
from ingest.transforms.parsers.access_log import AccessLog
from ingest.transforms.parsers.delimited import Delimited
from ingest.transforms.parsers.grok import grok_parser
from ingest.transforms.parsers.json import Json
from ingest.transforms.parsers.lines import as_lines, is_text
from ingest.transforms.parsers.logfmt import Logfmt
from ingest.transforms.parsers.parser import PARSE_FAILED, Parser
from ingest.transforms.parsers.pattern import Pattern
from ingest.transforms.parsers.syslog import Syslog
from ingest.transforms.parsers.typed import TypedColumns
from ingest.transforms.parsers.w3c import W3c
from ingest.transforms.parsers.zeek import Zeek
from ingest.transforms.refusals import Refusals


class Parse(Transform):
    """Makes columns out of lines of text.

    Refuses lines that are not in the format, each with a reason and without its neighbours.
    """

    Settings = ParseSettings
    reads_headers = False

    def __init__(self, settings: ParseSettings) -> None:
        self._parser = _parser(settings)
        self.stateful = self._parser.stateful

    def apply(self, records: Records, state: State) -> Transformed:
        if not is_text(records.value.type):
            raise ConnectorError(
                f"parse needs lines, and the records have columns already: {records.value.type}",
                hint="one parse is enough; take out the second",
            )
        lines, refusals = as_lines(records.value)
        if not refusals.reasons:
            return self._parser.parse(records, lines, state)
        return self._readable(records, lines, refusals, state)

    def _readable(self, records: Records, lines: pa.StringArray, refusals: Refusals, state: State) -> Transformed:
        """Parses the lines that are text, and counts the refused ones as they stand in the whole batch."""
        keep = np.ones(len(records), dtype=bool)
        keep[list(refusals.reasons)] = False
        rows, mask = pa.array(np.flatnonzero(keep)), pa.array(keep)
        if not len(rows):
            return Transformed([], refusals.rejected(PARSE_FAILED))
        result = self._parser.parse(records.filter(mask), lines.filter(mask), state)
        rejected = [replace(each, rows=rows.take(each.rows)) for each in result.rejected]
        return replace(result, rejected=[*refusals.rejected(PARSE_FAILED), *rejected])


def _parser(settings: ParseSettings) -> Parser:
    return _PARSERS[settings.format](settings)


def _typed(settings: ParseSettings) -> TypedColumns:
    return TypedColumns(settings.types, settings.timestamp, settings.time_format, settings.timezone)


def _delimited(settings: ParseSettings) -> Parser:
    delimiter = "\t" if settings.format == "tsv" else settings.delimiter
    return Delimited(delimiter, _typed(settings), columns=settings.columns, header=settings.header)


def _grok(settings: ParseSettings) -> Parser:
    return grok_parser(
        settings.pattern or "",
        settings.patterns,
        settings.types,
        timestamp=settings.timestamp,
        time_format=settings.time_format,
        timezone=settings.timezone,
    )


_PARSERS: dict[str, Callable[[ParseSettings], Parser]] = {
    "combined": lambda settings: AccessLog(combined=True),
    "common": lambda settings: AccessLog(combined=False),
    "json": lambda settings: Json(_typed(settings)),
    "logfmt": lambda settings: Logfmt(_typed(settings)),
    "syslog": lambda settings: Syslog(settings.timezone, settings.year),
    "csv": _delimited,
    "tsv": _delimited,
    "w3c": lambda settings: W3c(settings.types, settings.timezone),
    "zeek": lambda settings: Zeek(),
    "regex": lambda settings: Pattern(settings.pattern or "", _typed(settings)),
    "grok": _grok,
}
