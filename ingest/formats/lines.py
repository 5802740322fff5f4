"""The format ``lines``: one line of text a record, its line end removed, as UTF-8."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa

from ingest.connectors import Records
from ingest.formats.format import (
    MAX_RECORD_BYTES,
    Decoded,
    Encoded,
    Format,
    rejected,
    with_binary_keys,
    without_large,
)
from ingest.formats.untouched import as_binary

_SMALL_BLOCK = 64


class LinesFormat(Format):
    """Text in, text out. A multi-line record of a source stays one record, line ends inside included."""

    name: ClassVar[str] = "lines"

    def encode(
        self, records: Records, *, schema: pa.Schema | None = None, max_bytes: int = MAX_RECORD_BYTES
    ) -> Encoded:
        value = as_binary(records.value, self.name)
        return Encoded(*without_large(with_binary_keys(records.with_value(value)), max_bytes))

    def decode(self, records: Records, *, schema: pa.Schema | None = None) -> Decoded:
        text, bad = as_text(records.value)
        if not len(bad):
            return Decoded(records.with_value(text))
        good = np.ones(len(records), dtype=bool)
        good[bad] = False
        kept = records.filter(pa.array(good))
        reasons = [_reason(records.value[row].as_py()) for row in bad.tolist()]
        return Decoded(kept.with_value(as_text(kept.value)[0]), [rejected(bad, reasons, "DecodeFailed")])


def as_text(value: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """The binary column as a string column (no copy), and the rows that are not UTF-8 (then the column is
    not usable as text before they are taken out)."""
    target = pa.large_string() if pa.types.is_large_binary(value.type) else pa.string()
    try:
        return value.cast(target), np.empty(0, dtype=np.int64)
    except pa.ArrowInvalid:
        return value, np.array(_invalid_rows(value, target), dtype=np.int64)


def _invalid_rows(value: pa.Array, target: pa.DataType) -> list[int]:
    """Halves the column until the blocks that hold invalid text are small, then looks at each value."""
    bad: list[int] = []
    blocks = [(0, len(value))]
    while blocks:
        start, length = blocks.pop()
        block = value.slice(start, length)
        try:
            block.cast(target)
        except pa.ArrowInvalid:
            if length <= _SMALL_BLOCK:
                bad += [start + row for row, item in enumerate(block.to_pylist()) if not _is_utf8(item)]
            else:
                half = length // 2
                blocks += [(start, half), (start + half, length - half)]
    return sorted(bad)


def _is_utf8(value: bytes | None) -> bool:
    try:
        return value is None or value.decode("utf-8") is not None
    except UnicodeDecodeError:
        return False


def _reason(value: bytes) -> str:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"not UTF-8 at byte {error.start}: {error.reason}"
    return "not UTF-8"
