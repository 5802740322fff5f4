"""``json``: one JSON object a line. Types are found in each batch, strictly (docs/formats/schemas.md)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ingest.connectors import Records, State, Transformed
from ingest.formats import format_named
from ingest.transforms.found_columns import marked
from ingest.transforms.parsers.parser import PARSE_FAILED, Parser
from ingest.transforms.parsers.typed import TypedColumns
from ingest.transforms.refusals import Refusals


class Json(Parser):
    """Columns are the names that the batch's objects hold, in the order in which they are first seen."""

    def __init__(self, typed: TypedColumns) -> None:
        self._typed = typed
        self._format = format_named("json")

    def parse(self, records: Records, lines: pa.StringArray, state: State) -> Transformed:
        rows = pa.array(np.arange(len(records)))
        decoded = self._format.decode(Records(value=lines.cast(pa.binary()), rows=rows))
        found = decoded.records
        value = found.value
        columns = pa.RecordBatch.from_arrays(value.flatten(), schema=pa.schema(marked(list(value.type))))
        kept = records if len(found) == len(records) else records.take(found.rows)
        refusals = Refusals()
        for rejected in decoded.rejected:
            refusals.add(rejected.rows.to_pylist(), rejected.reasons)
        result = self._typed.finish(kept, columns, later := Refusals())
        places = np.asarray(found.rows)
        refusals.add([places[row] for row in later.reasons], later.reasons.values())
        return Transformed(result.records, refusals.rejected(PARSE_FAILED))
