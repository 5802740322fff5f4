"""The record of one commit, or of a writer's coming: drawn in docs/formats/manifest.md.

A manifest is one line of JSON and a second line with the CRC-32C of the first, so that a damaged one is told
from a whole one. The entries of a sink are numbered from 1 without a gap (``sequence``); those of kind
``commit`` count commits besides.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any, Literal

import crc32c
import orjson
import pyarrow as pa

from ingest.connectors import Commit, DeadLetter, TopicPartition
from ingest.errors import OutputDamaged

VERSION = 1
DAMAGED = (ValueError, KeyError, TypeError, pa.ArrowException)
"""What reading a document raises that is not what it should be."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload that holds all its parts and waits to be completed; ``etags`` in order of the parts."""

    id: str
    etags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Bytes that are durable but not visible yet: as the file ``temporary``, or as ``upload``.

    ``path`` is where they will be seen; all paths are relative to the table, with ``/``.
    """

    path: str
    size_bytes: int
    crc32c: str
    temporary: str = ""
    upload: Upload | None = None


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of a commit: rows of one partition of one topic, offsets ``first_offset``..``last_offset``.

    A file of current rows has a ``bucket`` instead: the leading bits, as ``0`` and ``1``, that the digests of all of
    its keys have; its rows are of all partitions (-1), and of no offsets of their own (-1).
    """

    stored: StoredFile
    rows: int
    topic: str
    partition: int
    first_offset: int
    last_offset: int
    bucket: str | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """Offsets ``start``..``end`` (half-open) of one partition that a commit accounts for. ``filtered`` rows of them
    were left out by the sink's transforms (less those that they added), or had no value."""

    topic: str
    partition: int
    start: int
    end: int
    filtered: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One manifest.

    ``kind`` ``open`` says only that a writer took over; then ``commit`` and ``commit_sequence`` name the last
    commit before it (0: none). ``retires`` are paths of earlier commits that this one replaces. ``partition_by``
    is the setting of that name, ``schemas`` maps each topic to all columns that its values ever had. ``left_out`` rows
    had no value (they are part of ``filtered``, too).

    A table of current rows has a ``key``; its commits apply ``changes`` records, and ``retires`` are the files that
    they rewrite, of which those of the entries up to ``vacuumed`` are removed.

    Compactions count entries of their own: ``compact`` says that ``files`` stand for ``retires``, and ``vacuum``
    that hidden files of the entries up to ``vacuumed`` are removed. In both, ``commit`` and ``commit_sequence``
    name the sink's last commit that was seen.
    """

    kind: Literal["open", "commit", "compact", "vacuum"]
    sequence: int
    writer: str
    epoch: int
    pipeline: str
    sink: str
    hub_id: str
    written_ms: int
    commit: int = 0
    commit_sequence: int = 0
    topic_ids: Mapping[str, str] = field(default_factory=dict)
    ranges: Sequence[Range] = ()
    offsets: Mapping[TopicPartition, int] = field(default_factory=dict)
    files: Sequence[DataFile] = ()
    retires: Sequence[str] = ()
    dead: Sequence[DeadLetter] = ()
    schemas: Mapping[str, pa.Schema] = field(default_factory=dict)
    partition_by: Sequence[str] = ()
    vacuumed: int = 0
    left_out: int = 0
    key: Sequence[str] = ()
    changes: int = 0

    def as_commit(self) -> Commit:
        """What is told to the runtime."""
        return Commit(
            number=self.commit,
            offsets=dict(self.offsets),
            dead=tuple(self.dead),
            rows=self.changes if self.key else sum(file.rows for file in self.files),
            files=len(self.files),
            size_bytes=sum(file.stored.size_bytes for file in self.files),
            paths=tuple(file.stored.path for file in self.files),
            filtered=self.left_out,
        )


def encode(entry: Entry) -> bytes:
    """The two lines."""
    return seal(_document(entry))


def decode(content: bytes, path: str) -> Entry:
    """Raises ``OutputDamaged`` if the bytes are not a whole manifest of a version that is known here."""
    try:
        return _entry(unseal(content))
    except DAMAGED as error:
        raise OutputDamaged(
            f"the manifest {path} cannot be read: {error}",
            hint="restore it from a copy; see: ingest check",
            path=path,
        ) from error


def seal(document: Mapping[str, Any]) -> bytes:
    """A document and its checksum, a line each."""
    body = orjson.dumps({"version": VERSION, **document})
    return body + b"\n" + orjson.dumps({"crc32c": f"{crc32c.crc32c(body):08x}"}) + b"\n"


def unseal(content: bytes) -> dict[str, Any]:
    """Raises one of ``DAMAGED`` if the bytes are not whole, or of a version that is not known here."""
    body, _, check = content.partition(b"\n")
    expected = orjson.loads(check)["crc32c"]
    if expected != f"{crc32c.crc32c(body):08x}":
        raise ValueError("its checksum does not match")
    document: dict[str, Any] = orjson.loads(body)
    if document["version"] != VERSION:
        raise ValueError(f"its version is {document['version']}, and {VERSION} is known here")
    return document


def _document(entry: Entry) -> dict[str, Any]:
    document: dict[str, Any] = {name: getattr(entry, name) for name in _PLAIN}
    if entry.kind == "open":
        return document
    if entry.kind == "vacuum":
        return document | {"vacuumed": entry.vacuumed}
    document |= {
        "rows": sum(file.rows for file in entry.files),
        "files": [_file_document(file) for file in entry.files],
        "retires": list(entry.retires),
        "partition_by": list(entry.partition_by),
    }
    if entry.kind == "compact":
        return document
    if entry.key:
        document |= {"key": list(entry.key), "changes": entry.changes, "vacuumed": entry.vacuumed}
    return document | {
        "left_out": entry.left_out,
        "topic_ids": dict(entry.topic_ids),
        "ranges": [list(astuple(item)) for item in entry.ranges],
        "offsets": [[place.topic, place.partition, offset] for place, offset in entry.offsets.items()],
        "dead": [[getattr(letter, name) for name in _LETTER] for letter in entry.dead],
        "schemas": {topic: schema_document(schema) for topic, schema in entry.schemas.items()},
    }


_PLAIN = (
    "kind",
    "sequence",
    "writer",
    "epoch",
    "pipeline",
    "sink",
    "hub_id",
    "written_ms",
    "commit",
    "commit_sequence",
)
_LETTER = ("topic", "partition", "offset", "row", "stage", "error", "reason")


def _entry(document: Mapping[str, Any]) -> Entry:
    plain = {name: document[name] for name in _PLAIN}
    if document["kind"] == "open":
        return Entry(**plain)
    if document["kind"] == "vacuum":
        return Entry(**plain, vacuumed=document["vacuumed"])
    plain |= {
        "files": tuple(_file(item) for item in document["files"]),
        "retires": tuple(document["retires"]),
        "partition_by": tuple(document["partition_by"]),
    }
    if document["kind"] == "compact":
        return Entry(**plain)
    return Entry(
        **plain,
        left_out=document.get("left_out", 0),
        key=tuple(document.get("key", ())),
        changes=document.get("changes", 0),
        vacuumed=document.get("vacuumed", 0),
        topic_ids=document["topic_ids"],
        ranges=tuple(Range(*item) for item in document["ranges"]),
        offsets={TopicPartition(topic, partition): offset for topic, partition, offset in document["offsets"]},
        dead=tuple(DeadLetter(*item) for item in document["dead"]),
        schemas={topic: read_schema(item) for topic, item in document["schemas"].items()},
    )


def _file_document(file: DataFile) -> dict[str, Any]:
    stored = file.stored
    document: dict[str, Any] = {
        "path": stored.path,
        "bytes": stored.size_bytes,
        "crc32c": stored.crc32c,
        "rows": file.rows,
        "topic": file.topic,
        "partition": file.partition,
        "first_offset": file.first_offset,
        "last_offset": file.last_offset,
    }
    if file.bucket is not None:
        document["bucket"] = file.bucket
    if stored.upload is not None:
        return document | {"upload": {"id": stored.upload.id, "etags": list(stored.upload.etags)}}
    return document | {"temporary": stored.temporary}


def _file(item: Mapping[str, Any]) -> DataFile:
    upload = item.get("upload")
    stored = StoredFile(
        item["path"],
        item["bytes"],
        item["crc32c"],
        temporary=item.get("temporary", ""),
        upload=Upload(upload["id"], tuple(upload["etags"])) if upload else None,
    )
    offsets = (item["first_offset"], item["last_offset"])
    return DataFile(stored, item["rows"], item["topic"], item["partition"], *offsets, item.get("bucket"))


def schema_document(schema: pa.Schema) -> dict[str, Any]:
    """``arrow`` is what programs read; ``columns`` is for people."""
    return {
        "columns": {field.name: str(field.type) for field in schema},
        "arrow": base64.b64encode(schema.serialize()).decode("ascii"),
    }


def read_schema(item: Mapping[str, Any]) -> pa.Schema:
    """What ``schema_document`` wrote."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(item["arrow"])))
