"""The topics of a pipeline: made when first needed, with a format, and a schema that follows the data.

One per worker, shared by its tasks; thread-safe. A schema is durable in the hub before the first record
that needs it is written.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.connectors import Records
from ingest.errors import ConfigError, SchemaClash, TopicExists, TopicInvalid, TopicMissing
from ingest.formats import Decoded, Encoded, Format, format_named
from ingest.formats.schema import infer_schema, merge
from ingest.hub.contract import Hub, TopicInfo
from ingest.hub.topic_formats import TopicFormats
from ingest.runtime.plan import Plan, TopicPlan

DEFAULT_STRUCT_FORMAT = "json"
"""Any Kafka client can read it; docs/decisions/default-format.md has what that costs."""
DEFAULT_MAX_MESSAGE_BYTES = 1_048_588  # Kafka's default of max.message.bytes
BATCH_OVERHEAD_BYTES = 1_024
"""What a record's batch, lengths and carrier take at most beside its value, key and headers."""

_KEPT_FOR_EVER = {"retention.ms": "-1"}


class Topics:
    """Settings, formats and schemas of the topics that a pipeline writes and reads."""

    def __init__(self, hub: Hub, plan: Plan, formats: TopicFormats) -> None:
        self._hub = hub
        self._plan = plan
        self._formats = formats
        self._lock = threading.RLock()

    def make_declared(self) -> None:
        """Called when the worker starts: every topic that the pipeline file names is there afterwards."""
        for name, topic in self._plan.topics.items():
            self._existing_or_new(name)
            if topic.format is not None:
                self._declared(name, topic.format)

    def for_writing(self, name: str, value_type: pa.DataType, format_name: str = "") -> TopicInfo:
        """The topic, made if it is not there, with a format that can hold values of this type; ``format_name`` is
        what the bytes of text or bytes are, if that is known.

        Raises ``TopicInvalid`` for a name that no record may go to.
        """
        info = self._existing_or_new(name)
        if info.internal:
            raise TopicInvalid(f"{name} is a topic of the hub itself")
        if self._formats.get(name) is None:
            self._declared(name, self._planned(name).format or default_format(value_type, format_name))
        return info

    def for_bytes(self, name: str) -> TopicInfo:
        """The topic, made if it is not there, for values that are bytes of any kind: dead letters."""
        info = self._existing_or_new(name, _KEPT_FOR_EVER)
        if self._formats.get(name) is None:
            self._declared(name, "bytes")
        return info

    def encode(self, records: Records) -> Encoded:
        """Values as the bytes of the topic's format, the schema widened first if need be.

        Raises ``SchemaClash`` where the contract says ``freeze``; else rows that do not fit are rejected.
        """
        held, encoder = self._held(records.topic)
        if encoder.typed and pa.types.is_struct(records.value.type):
            held = self.follow(records.topic, pa.schema(list(records.value.type)))
        limit = max_message_bytes(self._hub.topic(records.topic)) - BATCH_OVERHEAD_BYTES
        return encoder.encode(records, schema=held, max_bytes=max(limit, 1))

    def decode(self, records: Records) -> Decoded:
        """Records of a topic as columns again. The schema of a ``json`` topic is learned from its values."""
        held, decoder = self._held(records.topic)
        if decoder.name != "json":
            return decoder.decode(records, schema=held)
        if held is None:
            held = self._learn(records.topic, records.value)
            return decoder.decode(records, schema=held)
        decoded = decoder.decode(records, schema=held)
        refused = [rejected.rows for rejected in decoded.rejected if len(rejected.rows)]
        if not refused:
            return decoded
        wider = self._learn(records.topic, records.value.take(pa.concat_arrays(refused)))
        return decoded if wider.equals(held) else decoder.decode(records, schema=wider)

    def many_rows(self, topic: str) -> bool:
        """Whether one record of the topic holds many rows."""
        return self._held(topic)[1].name == "arrow"

    def follow(self, topic: str, schema: pa.Schema) -> pa.Schema:
        """The topic's schema after values of ``schema`` have been seen, durable before it is returned."""
        held = self._formats.get(topic)
        if held is not None and held.schema is not None and held.schema.equals(schema):
            return held.schema
        with self._lock:
            held = self._formats.get(topic)
            before = held.schema if held is not None else None
            contract = self._planned(topic).contract
            merged = merge(before, schema, contract)
            if merged.clashes and contract == "freeze":
                raise _clash(topic, merged.clashes)
            if before is not None and merged.schema.equals(before):
                return before
            # What is returned may hold more: another worker of this hub widens the same topic.
            return self._formats.evolve(topic, merged.schema).schema

    def _learn(self, topic: str, values: pa.Array) -> pa.Schema:
        held = self._formats.get(topic)
        known = held.schema if held is not None else None
        return self.follow(topic, infer_schema(values.drop_null(), known))

    def _held(self, topic: str) -> tuple[pa.Schema | None, Format]:
        """A topic that nobody declared, written by some other program, holds bytes unless the file says more."""
        held = self._formats.get(topic)
        if held is not None:
            return held.schema, format_named(held.format)
        planned = self._planned(topic).format
        if planned is None:
            return None, format_named("bytes")
        self._declared(topic, planned)
        return None, format_named(planned)

    def _planned(self, topic: str) -> TopicPlan:
        return self._plan.topics.get(topic, TopicPlan())

    def _existing_or_new(self, name: str, config: Mapping[str, str] | None = None) -> TopicInfo:
        try:
            return self._hub.topic(name)
        except TopicMissing:
            planned = self._planned(name)
        try:
            return self._hub.create_topic(name, planned.partitions, {**(config or {}), **planned.config})
        except TopicExists:  # another task was faster
            return self._hub.topic(name)

    def _declared(self, name: str, wanted: str) -> None:
        with self._lock:
            held = self._formats.get(name)
            if held is None:
                self._formats.declare(name, wanted)
            elif held.format != wanted:
                raise ConfigError(
                    f"the topic {name} holds {held.format}, and the pipeline says {wanted}",
                    hint="leave out `format`, or write to a new topic",
                )


def default_format(value_type: pa.DataType, known: str = "") -> str:
    """What a topic holds when the file does not say: what the source knows, else lines for text, bytes for bytes,
    columns for columns."""
    if pa.types.is_struct(value_type):
        return DEFAULT_STRUCT_FORMAT
    if known:
        return known
    if pa.types.is_string(value_type) or pa.types.is_large_string(value_type):
        return "lines"
    return "bytes"


def max_message_bytes(topic: TopicInfo) -> int:
    """The largest batch, and so the largest record, that the topic takes."""
    return int(topic.config.get("max.message.bytes", DEFAULT_MAX_MESSAGE_BYTES))


def record_sizes(records: Records) -> pa.Array:
    """An upper bound for the bytes of each encoded record beside ``BATCH_OVERHEAD_BYTES``."""
    sizes = pc.fill_null(pc.binary_length(records.value), 0).cast(pa.int64())
    if records.key is not None:
        sizes = pc.add(sizes, pc.fill_null(pc.binary_length(records.key), 0))
    if records.headers is not None and len(records.headers):
        sizes = pc.add(sizes, _header_sizes(records.headers))
    return pc.add(sizes, common_headers_size(records))


def common_headers_size(records: Records) -> int:
    """What the headers that all of the records have take in each of them."""
    return sum(len(name.encode()) + len(value or b"") + 10 for name, value in records.common_headers)


def _header_sizes(headers: pa.Array) -> pa.Array:
    flat = headers.flatten()
    each = pc.add(pc.binary_length(flat.field(0)), pc.fill_null(pc.binary_length(flat.field(1)), 0))
    running = np.concatenate([[0], np.cumsum(each.to_numpy(zero_copy_only=False).astype(np.int64) + 10)])
    lengths = pc.fill_null(pc.list_value_length(headers), 0).to_numpy(zero_copy_only=False)
    ends = np.cumsum(lengths)
    return pa.array(running[ends] - running[ends - lengths])


def _clash(topic: str, clashes: Sequence[tuple[str, pa.DataType | None, pa.DataType | None]]) -> SchemaClash:
    told = ", ".join(f"{path} was {old or 'not there'} and is {new or 'gone'}" for path, old, new in clashes)
    return SchemaClash(
        f"the schema of {topic} is frozen, and records that differ came: {told}",
        hint="set the topic's contract to evolve, or to dead-letter",
        topic=topic,
    )
