"""The sum of all manifests up to some number, so that a table of many commits is opened by reading few files.

A checkpoint is made from manifests and can be made again: where it is missing or damaged the one before it, or
the manifests alone, say the same. Drawn in docs/formats/manifest.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.errors import OutputDamaged
from ingest.sinks.lake.manifest import DAMAGED, DataFile, StoredFile, read_schema, schema_document, seal, unseal
from ingest.sinks.lake.names import checkpoint_folder, checkpoint_name, checkpoint_numbers
from ingest.sinks.lake.store import Store
from ingest.sinks.lake.table_view import LiveFile, TableView, read_on

KEPT = 2
"""Checkpoints that stay: a reader may be at the older one."""
_TRIES = 5
_PLAIN = ("pipeline", "sink", "hub_id", "sequence", "compaction", "commit", "commit_sequence", "vacuumed")


def look(store: Store, owner: str) -> TableView:
    """The table now. Raises ``OutputDamaged`` if a manifest, or a file of the newest commit, is nowhere."""
    for _ in range(_TRIES):
        try:
            return read_on(store, owner, newest_checkpoint(store, owner) or TableView())
        except OutputDamaged as error:
            # what is missing may have been merged into another file while the manifests were read
            failed = error
    raise failed


def newest_checkpoint(store: Store, owner: str) -> TableView | None:
    """None if there is none that is whole."""
    for name in _names(store, owner):
        content = store.read(f"{checkpoint_folder(owner)}/{name}")
        if content is None:
            continue
        try:
            return _decode(unseal(content))
        except DAMAGED:
            continue
    return None


def checkpoint_if_due(store: Store, owner: str, *, every: int) -> bool:
    """Writes one if that many manifests have come since the last one; whether it did. What is not yet visible as
    a whole is no reason to wait for, and then nothing is written."""
    numbers = [checkpoint_numbers(name) for name in _names(store, owner)]
    view = look(store, owner)
    before = sum(numbers[0] or (0, 0)) if numbers else 0
    if not view.whole or view.sequence + view.compaction - before < every:
        return False
    write_checkpoint(store, owner, view)
    return True


def write_checkpoint(store: Store, owner: str, view: TableView) -> None:
    """Durable on return. ``view`` must be ``whole``."""
    name = checkpoint_name(view.sequence, view.compaction)
    store.put_if_absent(f"{checkpoint_folder(owner)}/{name}", encode(view), "checkpoint")
    store.remove([f"{checkpoint_folder(owner)}/{old}" for old in _names(store, owner)[KEPT:]])


def remove_checkpoints(store: Store, owner: str) -> None:
    """Nothing is lost by it."""
    store.remove([f"{checkpoint_folder(owner)}/{name}" for name in _names(store, owner)])


def encode(view: TableView) -> bytes:
    """Two lines, as a manifest has. Files are columns: there may be a hundred thousand of them."""
    files = [live.file for live in view.files.values()]
    topics = {topic: number for number, topic in enumerate(sorted({file.topic for file in files}))}
    partitionings = {spec: number for number, spec in enumerate(sorted(view.partitionings))}
    return seal(
        {name: getattr(view, name) for name in _PLAIN}
        | {
            "schemas": {topic: schema_document(schema) for topic, schema in view.schemas.items()},
            "partitionings": [list(spec) for spec in partitionings],
            "topics": list(topics),
            "files": {
                "path": [file.stored.path for file in files],
                "bytes": [file.stored.size_bytes for file in files],
                "crc32c": [file.stored.crc32c for file in files],
                "rows": [file.rows for file in files],
                "topic": [topics[file.topic] for file in files],
                "partition": [file.partition for file in files],
                "first_offset": [file.first_offset for file in files],
                "last_offset": [file.last_offset for file in files],
                "bucket": [file.bucket for file in files],
                "partitioning": [partitionings[live.partition_by] for live in view.files.values()],
            },
        }
    )


def _decode(document: Mapping[str, Any]) -> TableView:
    topics = document["topics"]
    specs = [tuple(spec) for spec in document["partitionings"]]
    columns = document["files"]
    names = ("path", "bytes", "crc32c", "rows", "topic", "partition", "first_offset", "last_offset", "partitioning")
    buckets = columns.get("bucket", [None] * len(columns["path"]))
    files = {
        path: LiveFile(DataFile(StoredFile(path, size, crc), rows, topics[topic], part, first, last, at), specs[spec])
        for path, size, crc, rows, topic, part, first, last, spec, at in zip(
            *(columns[name] for name in names), buckets, strict=True
        )
    }
    return TableView(
        **{name: document[name] for name in _PLAIN},
        partitionings=set(specs),
        schemas={topic: read_schema(item) for topic, item in document["schemas"].items()},
        files=files,
    )


def _names(store: Store, owner: str) -> list[str]:
    """The newest first."""
    found = [name for name in store.names(checkpoint_folder(owner)) if checkpoint_numbers(name) is not None]
    return sorted(found, key=lambda name: checkpoint_numbers(name) or (0, 0), reverse=True)
