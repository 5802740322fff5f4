"""Columns <-> record values, and the schemas of topics.

``lines``  text, one line a record           ``json``   one JSON object a record, read by any Kafka client
``bytes``  whatever it is, untouched         ``arrow``  one Arrow IPC stream of many rows a record
``avro``   Confluent's wire format
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from ingest.config import nearest
from ingest.errors import FormatError
from ingest.formats.format import MAX_RECORD_BYTES, Decoded, Encoded, Format

_CLASSES = {
    "lines": ("ingest.formats.lines", "LinesFormat"),
    "json": ("ingest.formats.json", "JsonFormat"),
    "avro": ("ingest.formats.avro", "AvroFormat"),
    "arrow": ("ingest.formats.arrow", "ArrowFormat"),
    "bytes": ("ingest.formats.untouched", "BytesFormat"),
}
NAMES = tuple(_CLASSES)

__all__ = ["MAX_RECORD_BYTES", "NAMES", "Decoded", "Encoded", "Format", "format_named"]


@cache
def format_named(name: str) -> Format:
    """The format of that name, imported on first use. Raises ``FormatError`` that lists the known ones."""
    if name not in _CLASSES:
        guess = nearest(name, list(NAMES))
        raise FormatError(
            f"there is no format {name!r}; known: {', '.join(NAMES)}",
            hint=f"did you mean {guess}?" if guess else None,
            format=name,
        )
    module, class_name = _CLASSES[name]
    made: Format = getattr(import_module(module), class_name)()
    return made
