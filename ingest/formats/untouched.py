"""The format ``bytes``: values are binary and stay as they are."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa

from ingest.connectors import Records
from ingest.errors import FormatError
from ingest.formats.format import MAX_RECORD_BYTES, Decoded, Encoded, Format, with_binary_keys, without_large


class BytesFormat(Format):
    """String values are taken too, as their UTF-8; they come back as bytes."""

    name: ClassVar[str] = "bytes"

    def encode(
        self, records: Records, *, schema: pa.Schema | None = None, max_bytes: int = MAX_RECORD_BYTES
    ) -> Encoded:
        value = as_binary(records.value, self.name)
        return Encoded(*without_large(with_binary_keys(records.with_value(value)), max_bytes))

    def decode(self, records: Records, *, schema: pa.Schema | None = None) -> Decoded:
        return Decoded(records)


def as_binary(value: pa.Array, format_name: str) -> pa.Array:
    """The same bytes as a binary column, without a copy; raises ``FormatError`` for anything but text or bytes."""
    kind = value.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return value
    if pa.types.is_large_string(kind):
        return value.view(pa.large_binary())
    if pa.types.is_string(kind):
        return value.view(pa.binary())
    if pa.types.is_binary_view(kind) or pa.types.is_string_view(kind):
        return value.cast(pa.binary())
    if pa.types.is_null(kind):
        return value.cast(pa.binary())
    raise FormatError(
        f"the format {format_name} takes text or bytes, and the value is {kind}",
        hint="give the topic the format json or arrow, which carry columns",
        format=format_name,
    )
