"""Verifying a data file against the manifest that lists it: its bytes, rows and columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import crc32c
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.formats.schema import merge
from ingest.sinks.lake.finding import Finding
from ingest.sinks.lake.manifest import DataFile
from ingest.sinks.lake.names import SUFFIX
from ingest.sinks.lake.store import Store

_READ_BYTES = 4 * 1024 * 1024


def file_findings(store: Store, file: DataFile, path: str, schemas: Mapping[str, pa.Schema]) -> Iterator[Finding]:
    """Of a file that lies at ``path``, reading all of its bytes. ``schemas`` are the newest columns of each topic."""
    place = store.describe(path)
    size = store.size_bytes(path)
    if size != file.stored.size_bytes:
        yield Finding("error", place, f"it has {size} bytes, and its manifest says {file.stored.size_bytes}")
    elif _crc32c(store, path) != file.stored.crc32c:
        yield Finding("error", place, "its bytes have changed: the checksum is not that of its manifest")
    elif path.endswith(SUFFIX) or SUFFIX in path:
        yield from _parquet_findings(store, file, path, schemas.get(file.topic))


def unreadable(store: Store, path: str) -> str | None:
    """Why a Parquet file cannot be read; None if it can."""
    try:
        _metadata(store, path)
    except (pa.ArrowException, OSError) as error:
        return str(error)
    return None


def _parquet_findings(store: Store, file: DataFile, path: str, newest: pa.Schema | None) -> Iterator[Finding]:
    metadata = _metadata(store, path)
    if metadata.num_rows != file.rows:
        yield Finding(
            "error", store.describe(path), f"it has {metadata.num_rows} rows, and its manifest says {file.rows}"
        )
    if newest is not None:
        columns = metadata.schema.to_arrow_schema().remove_metadata()
        merged = merge(newest, columns)
        if merged.clashes or not merged.schema.equals(newest):
            problem = "it has columns, or types of them, that its topic never had by the manifests"
            yield Finding("error", store.describe(path), problem)


def _metadata(store: Store, path: str) -> pq.FileMetaData:
    filesystem, root = store.filesystem()
    return pq.read_metadata(f"{root}/{path}", filesystem=filesystem)


def _crc32c(store: Store, path: str) -> str:
    filesystem, root = store.filesystem()
    crc = 0
    with filesystem.open_input_stream(f"{root}/{path}", compression=None) as stream:  # whatever its name ends in
        while piece := stream.read(_READ_BYTES):
            crc = crc32c.crc32c(piece, crc)
    return f"{crc:08x}"
