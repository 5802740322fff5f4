"""Typed values for programs: what a topic's format makes of rows and columns, and of the bytes it holds."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import Records
from ingest.errors import DecodeFailed, FormatError
from ingest.formats import Encoded, format_named
from ingest.formats.schema import infer_schema
from ingest.hub.contract import Hub
from ingest.hub.topic_formats import TopicFormat, TopicFormats
from ingest.log.topic_config import TopicConfig

_BATCH_OVERHEAD_BYTES = 1024


class Values:
    """One per client. A topic without a declared format takes and gives bytes."""

    def __init__(self, hub: Hub, *, writable: bool = True) -> None:
        self._hub = hub
        self._formats = TopicFormats(hub, writable=writable)

    def declare(self, topic: str, name: str) -> None:
        """Gives a topic its format, once and for all. Raises ``FormatError`` if it has another."""
        self._formats.declare(topic, name)

    def encode(self, records: Records) -> Encoded:
        """Rows that the format or the schema refuses are named in the result; columns that the topic has not
        seen yet widen its schema. Raises ``SchemaClash`` where they cannot, ``FormatError`` for a struct that
        goes to a topic of bytes."""
        held = self._formats.get(records.topic)
        typed = pa.types.is_struct(records.value.type)
        if held is None:
            if typed:
                raise FormatError(
                    f"the topic {records.topic} has no format for columns",
                    hint='make it with a format: create_topic(name, format="json")',
                    topic=records.topic,
                )
            return Encoded(records)
        encoder = format_named(held.format)
        schema = self._follow(records, held) if encoder.typed and typed else held.schema
        config = TopicConfig.parse(self._hub.topic(records.topic).config, records.topic)
        limit = max(1, config.max_message_bytes - _BATCH_OVERHEAD_BYTES)
        return encoder.encode(records, schema=schema, max_bytes=limit)

    def decode(self, records: Records) -> Records:
        """Raises ``DecodeFailed`` that names the first offset whose value is not in the topic's format."""
        held = self._formats.get(records.topic)
        if held is None:
            return records
        decoder = format_named(held.format)
        schema = held.schema
        if schema is None and decoder.name == "json":
            schema = infer_schema(records.value.drop_null())
        decoded = decoder.decode(records, schema=schema)
        for rejected in decoded.rejected:
            if len(rejected.rows):
                raise _decode_failed(records, int(pc.min(rejected.rows).as_py()), rejected.reasons[0], decoder.name)
        return decoded.records

    def _follow(self, records: Records, held: TopicFormat) -> pa.Schema:
        schema = pa.schema(list(records.value.type))
        if held.schema is not None and held.schema.equals(schema):
            return held.schema
        return self._formats.evolve(records.topic, schema).schema


def _decode_failed(records: Records, row: int, reason: str, name: str) -> DecodeFailed:
    offset = None if records.offsets is None else records.offsets[row].as_py()
    return DecodeFailed(
        f"the record at offset {offset} of {records.topic}-{records.partition} is no {name}: {reason}",
        hint="seek past it, or read the topic with raw=True",
        topic=records.topic,
        partition=records.partition,
        offset=offset,
    )
