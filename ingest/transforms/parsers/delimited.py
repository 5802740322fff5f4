"""``csv`` and ``tsv``: fields between delimiters, named by the first line or by the setting ``columns``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import Records, State, Transformed
from ingest.errors import ConfigError
from ingest.transforms.parsers.fields import Cutter, Uncuttable, columns_of, unique_names
from ingest.transforms.parsers.parser import PARSE_FAILED, Parser
from ingest.transforms.parsers.typed import TypedColumns
from ingest.transforms.refusals import Refusals


class Delimited(Parser):
    """The state is ``{"columns": [...]}`` once the stream's header has passed.

    An empty line is no record where there are several columns. A header whose quotes are not in order is
    refused, and the next line is taken for it.
    """

    def __init__(
        self, delimiter: str, typed: TypedColumns, *, columns: Sequence[str] | None = None, header: bool | None = None
    ) -> None:
        self._cutter = Cutter(delimiter)
        self._columns = list(columns) if columns is not None else None
        self._has_header = columns is None if header is None else header
        self._typed = typed
        for name in typed.kinds:
            if columns is not None and name not in columns:
                hint = f"`columns` are {', '.join(columns)}"
                raise ConfigError(f"types: there is no column {name}", hint=hint, setting="types")
        self.stateful = self._has_header

    def parse(self, records: Records, lines: pa.StringArray, state: State) -> Transformed:
        refusals = Refusals()
        no_records = np.zeros(len(lines), dtype=bool)
        names, after = self._columns, None
        if self._has_header:
            names = state.get("columns") or self._find_header(lines, refusals, no_records)
            after = {"columns": names} if names is not None else None
        if names is None:
            return Transformed([], refusals.rejected(PARSE_FAILED))
        if len(names) > 1:
            no_records |= np.asarray(pc.fill_null(pc.equal(lines, ""), False))
        missing = [name for name in self._typed.kinds if name not in names]
        if missing:
            rows = np.flatnonzero(~no_records)
            refusals.add(rows, [f"the header has no column {missing[0]}"] * len(rows))
        skipped = no_records.copy()
        skipped[list(refusals.reasons)] = True
        texts = columns_of(lines, self._cutter, names, refusals, skipped)
        result = self._typed.finish(records, texts, refusals, no_records=no_records)
        return Transformed(result.records, result.rejected, after)

    def _find_header(self, lines: pa.StringArray, refusals: Refusals, no_records: np.ndarray) -> list[str] | None:
        for row, line in enumerate(lines):
            if not line.as_py():
                no_records[row] = True
                continue
            try:
                found = unique_names(self._cutter.one(line.as_py()))
            except Uncuttable as error:
                refusals.add([row], [f"the header: {error}"])
                continue
            no_records[row] = True
            return self._columns or found
        return None
