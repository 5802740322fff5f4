"""The format ``json``: one JSON object a record, which any Kafka client can read and write."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
from pyarrow import types as t

from ingest.connectors import Records, Rejected
from ingest.formats import json_codec
from ingest.formats.casting import cast_value, without_encodings
from ingest.formats.format import (
    MAX_RECORD_BYTES,
    Decoded,
    Encoded,
    Format,
    rejected,
    with_binary_keys,
    without_large,
)
from ingest.formats.json_inference import explained, infer_schema
from ingest.formats.json_twin import NO_COLUMN
from ingest.formats.rows import mask_without, remaining, with_reasons
from ingest.formats.untouched import as_binary


class JsonFormat(Format):
    """Values that are text or bytes are taken for JSON objects already and written as they are: they are
    looked at when they are decoded."""

    name: ClassVar[str] = "json"
    typed: ClassVar[bool] = True

    def encode(
        self, records: Records, *, schema: pa.Schema | None = None, max_bytes: int = MAX_RECORD_BYTES
    ) -> Encoded:
        records = with_binary_keys(records)
        if not t.is_struct(records.value.type):
            return Encoded(*without_large(records.with_value(as_binary(records.value, self.name)), max_bytes))
        rows = np.arange(len(records))
        refused: list[Rejected] = []
        value = without_encodings(records.value)
        if schema is not None:
            value, refused = cast_value(value, schema)
            records, rows = remaining(records, rows, refused)
        texts, reasons = json_codec.encode(value)
        refused += with_reasons(rows, reasons, "EncodeFailed")
        records = records.with_value(texts)
        if reasons:
            keep = mask_without(len(records), reasons)
            records, rows = records.filter(pa.array(keep)), rows[keep]
        records, large = without_large(records, max_bytes)
        refused += [rejected(rows[each.rows.to_numpy()], each.reasons, each.error) for each in large]
        return Encoded(records, refused)

    def decode(self, records: Records, *, schema: pa.Schema | None = None) -> Decoded:
        """Without ``schema`` the values' own is found, and rows that clash with those before them are refused."""
        values = as_binary(records.value, self.name)
        if schema is None:
            schema = infer_schema(values)
        kind = pa.struct(list(schema))
        column, reasons = json_codec.decode(values, kind)
        if not reasons:
            return Decoded(records.with_value(column))
        for row, reason in reasons.items():
            if reason.endswith(NO_COLUMN):
                reasons[row] = explained(values[row].as_py(), kind, reason)
        kept = records.with_value(column).filter(pa.array(mask_without(len(records), reasons)))
        return Decoded(kept, with_reasons(np.arange(len(records)), reasons, "DecodeFailed"))
