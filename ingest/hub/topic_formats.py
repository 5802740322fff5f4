"""The format and the schema history of each topic, kept in the hub's compacted topic ``_ingest_schemas``.

A topic's entry (key: its name) says which format and version it has; each version is an entry of its own
(key: ``name:version``), written in the same batch and never changed. The values are drawn in
docs/formats/schemas.md. Entries of a deleted topic are known by its id and count no more.
"""

from __future__ import annotations

import base64
import json
import threading
import weakref
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from ingest.connectors import Records
from ingest.errors import FormatError, SchemaClash, TopicMissing
from ingest.formats import format_named
from ingest.formats.avro_schema import avro_schema, with_writers
from ingest.formats.schema import merge
from ingest.hub.contract import Hub

TOPIC = "_ingest_schemas"


@dataclass(frozen=True, slots=True)
class TopicFormat:
    """What a topic holds: ``schema`` is None until the first typed record; ``version`` counts its schemas
    from 1, and ``id`` numbers them over all topics of the hub (0: none yet), as a schema registry does."""

    format: str
    schema: pa.Schema | None = None
    version: int = 0
    id: int = 0


class _Table:
    """What ``_ingest_schemas`` holds, shared by all who use one hub in this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.loaded_to = -1
        self.current: dict[str, TopicFormat] = {}
        self.topic_ids: dict[str, str] = {}
        self.versions: dict[tuple[str, int], TopicFormat] = {}


_TABLES: weakref.WeakKeyDictionary[Hub, _Table] = weakref.WeakKeyDictionary()
_TABLES_LOCK = threading.Lock()


class TopicFormats:
    """Thread-safe; all instances of one hub in a process see the same. ``get`` is a look-up in memory.

    ``writable=False`` is for programs that only read the data folder: what they learn stays in memory.
    """

    def __init__(self, hub: Hub, *, writable: bool = True) -> None:
        self._hub = hub
        self._writable = writable
        with _TABLES_LOCK:
            self._table = _TABLES.setdefault(hub, _Table())

    def get(self, topic: str) -> TopicFormat | None:
        """The topic's format, or None if nobody declared one, or there is no such topic. Called for every batch."""
        try:
            topic_id = self._hub.topic(topic).id
        except TopicMissing:
            return None
        found = self._held(topic, topic_id)
        if found is not None:
            return found
        with self._table.lock:
            self._refresh()
            return self._held(topic, topic_id)

    def version(self, topic: str, version: int) -> TopicFormat | None:
        """An older schema of the topic."""
        with self._table.lock:
            self._refresh()
            return self._table.versions.get((topic, version))

    def history(self, topic: str) -> list[TopicFormat]:
        """All schemas that the topic had, the oldest first."""
        with self._table.lock:
            self._refresh()
            found = [item for (name, _), item in self._table.versions.items() if name == topic]
            return sorted(found, key=lambda item: item.version)

    def declare(self, topic: str, format: str) -> TopicFormat:  # noqa: A002
        """Gives the topic its format, once and for all; durable on return. Raises ``FormatError`` if it
        has another, or if there is no such format; ``TopicMissing``."""
        format_named(format)
        topic_id = self._hub.topic(topic).id
        with self._table.lock:
            self._refresh()
            held = self._held(topic, topic_id)
            if held is None:
                return self._put(topic, topic_id, TopicFormat(format), None)
            if held.format != format:
                raise FormatError(
                    f"the topic {topic} holds {held.format}, and cannot hold {format}",
                    hint="leave out the format, or write to a new topic",
                    topic=topic,
                )
            return held

    def evolve(self, topic: str, schema: pa.Schema) -> TopicFormat:
        """Widens the topic's schema so that ``schema`` fits; durable on return. Others may have widened it
        meanwhile: what is returned holds theirs too. Raises ``SchemaClash`` where no type holds both, and
        ``FormatError`` for a topic without a declared format."""
        topic_id = self._hub.topic(topic).id
        with self._table.lock:
            self._refresh()
            held = self._held(topic, topic_id)
            if held is None:
                raise FormatError(f"the topic {topic} has no declared format", topic=topic)
            merged = merge(held.schema, schema)
            if merged.clashes:
                path, old, new = merged.clashes[0]
                raise SchemaClash(f"{topic}: {path or 'the value'} is {old or 'not there'}, not {new}", topic=topic)
            if held.schema is not None and merged.schema.equals(held.schema):
                return held
            number = 1 + max((item.id for item in self._table.versions.values()), default=0)
            return self._put(topic, topic_id, TopicFormat(held.format, merged.schema, held.version + 1, number), schema)

    def _held(self, topic: str, topic_id: str) -> TopicFormat | None:
        return self._table.current.get(topic) if self._table.topic_ids.get(topic) == topic_id else None

    def _put(self, topic: str, topic_id: str, new: TopicFormat, schema: pa.Schema | None) -> TopicFormat:
        if self._writable:
            entries = [(topic, {"topic_id": topic_id, "format": new.format, "version": new.version})]
            if schema is not None:
                entries.append((f"{topic}:{new.version}", _as_entry(topic_id, new)))
            values = pa.array([json.dumps(entry).encode() for _, entry in entries], pa.binary())
            keys = pa.array([key.encode() for key, _ in entries], pa.binary())
            self._hub.append(Records(topic=TOPIC, key=keys, value=values), 0).result()
        self._remember(topic, topic_id, new)
        return self._table.current[topic]

    def _remember(self, topic: str, topic_id: str, new: TopicFormat) -> None:
        table = self._table
        if table.topic_ids.get(topic) != topic_id:
            table.versions = {key: item for key, item in table.versions.items() if key[0] != topic}
        table.topic_ids[topic] = topic_id
        if new.schema is not None:
            table.versions[topic, new.version] = new
        table.current[topic] = self._with_writers(topic, new)

    def _with_writers(self, topic: str, held: TopicFormat) -> TopicFormat:
        """Records of ``avro`` name the schema that wrote them: the topic's newest one carries all of them."""
        if held.format != "avro" or held.schema is None:
            return held
        elders = {item.id: item.schema for (name, _), item in self._table.versions.items() if name == topic}
        return replace(held, schema=with_writers(held.schema, held.id, elders))

    def _refresh(self) -> None:
        """Reads the topic again if it has grown; the caller holds the lock."""
        end = self._hub.end_offset(TOPIC, 0)
        if end == self._table.loaded_to:
            return
        ids = {info.name: info.id for info in self._hub.topics()}
        entries = {key.decode(): json.loads(value) for key, value in self._hub.compacted(TOPIC)}
        for key, entry in entries.items():
            name, _, version = key.partition(":")
            if ids.get(name) != entry["topic_id"]:
                continue
            if version:
                self._table.versions[name, int(version)] = _from_entry(entry)
        for name, entry in entries.items():
            if ":" in name or ids.get(name) != entry["topic_id"]:
                continue
            bare = TopicFormat(entry["format"])
            self._table.topic_ids[name] = entry["topic_id"]
            self._table.current[name] = self._with_writers(
                name, self._table.versions.get((name, entry["version"]), bare)
            )
        self._table.loaded_to = end


def _as_entry(topic_id: str, held: TopicFormat) -> dict[str, Any]:
    assert held.schema is not None
    avro = {"avro": avro_schema(held.schema)} if held.format == "avro" else {}
    return {
        **avro,
        "topic_id": topic_id,
        "format": held.format,
        "version": held.version,
        "id": held.id,
        "schema": base64.b64encode(held.schema.remove_metadata().serialize()).decode("ascii"),
        "fields": [{"name": field.name, "type": str(field.type), "nullable": field.nullable} for field in held.schema],
    }


def _from_entry(entry: dict[str, Any]) -> TopicFormat:
    schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(entry["schema"])))
    return TopicFormat(entry["format"], schema, entry["version"], entry["id"])
