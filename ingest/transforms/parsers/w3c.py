"""``w3c``: the extended log file format of IIS and others, named by its ``#Fields:`` lines."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import Records, State, Transformed
from ingest.formats.type_names import type_named
from ingest.transforms.conversion import Conversion
from ingest.transforms.parsers.fields import Cutter, columns_of, unique_names
from ingest.transforms.parsers.headed import Headed, NoColumns
from ingest.transforms.parsers.parser import parsed
from ingest.transforms.refusals import Refusals
from ingest.transforms.times import TimeReader

_WHOLE = ("status", "bytes", "cached", "port", "substatus", "win32-status")
_PREFIXES = ("c", "s", "r", "cs", "sc", "sr", "rs", "x")


class W3c(Headed):
    """Columns as the header calls them; ``-`` is null. Whole numbers for ``…status``, ``…bytes``, ``…port`` and
    ``cached``, ``double`` for ``time-taken``, text for the rest, unless ``types`` says otherwise. ``date`` and
    ``time`` together (or ``time`` after a ``#Date:``) are the record's timestamp."""

    def __init__(self, types: dict[str, str] | None = None, timezone: str | None = None) -> None:
        self._types = {name: type_named(kind) for name, kind in (types or {}).items()}
        self._times = TimeReader(None, timezone)
        self._cutter = Cutter(None)

    def directive(self, line: str, state: dict[str, Any]) -> None:
        name, _, content = line[1:].partition(":")
        if name.strip().lower() == "fields":
            state["fields"] = unique_names(content.split())
        elif name.strip().lower() in ("date", "start-date") and content.split():
            state["date"] = content.split()[0]

    def lines_between(self, records: Records, lines: pa.StringArray, state: State) -> Transformed:
        if not state.get("fields"):
            raise NoColumns("no #Fields: line came before")
        refusals = Refusals()
        tombstones = lines.is_null().to_numpy(zero_copy_only=False)
        texts = columns_of(lines, self._cutter, state["fields"], refusals, tombstones)
        columns = [pc.if_else(pc.equal(column, "-"), None, column) for column in texts.columns]
        texts = pa.RecordBatch.from_arrays(columns, names=texts.schema.names)
        kinds = {name: kind for name in state["fields"] if (kind := self._kind(name)) is not None}
        made = Conversion(kinds, self._times).apply(texts, refusals)
        return parsed(records, made, refusals, timestamp=self._timestamp(texts, state))

    def _kind(self, name: str) -> pa.DataType | None:
        if name in self._types:
            return self._types[name]
        if name == "time-taken":
            return pa.float64()
        prefix, _, rest = name.partition("-")
        bare = rest if prefix in _PREFIXES else name
        return pa.int64() if bare in _WHOLE else None

    def _timestamp(self, texts: pa.RecordBatch, state: State) -> pa.Array | None:
        if "time" not in texts.schema.names:
            return None
        day: Any = texts.column("date") if "date" in texts.schema.names else state.get("date")
        if day is None:
            return None
        return self._times.read(pc.binary_join_element_wise(day, texts.column("time"), " "))
