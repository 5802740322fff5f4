"""Reading a lake table, for ``ingest sql`` and other programs: by its manifests, so that a query sees whole
commits only; or, where there are none, every Parquet file below the folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from ingest.environment import Environment
from ingest.errors import UsageError
from ingest.formats.schema import merge
from ingest.sinks.lake import hive
from ingest.sinks.lake.checking import Finding, check_table
from ingest.sinks.lake.checkpoint import look
from ingest.sinks.lake.data_formats import as_texts_tell, dataset_format, is_parquet
from ingest.sinks.lake.following import following
from ingest.sinks.lake.ledger import ledgers
from ingest.sinks.lake.partition_by import parse_all
from ingest.sinks.lake.partition_values import value_types
from ingest.sinks.lake.store import Store
from ingest.sinks.lake.table_view import TableView
from ingest.sinks.lake.target import open_store

__all__ = ["Finding", "check_table", "open_dataset"]


def open_dataset(url: str, base_folder: Path, storage_options: Mapping[str, Any] | None = None) -> ds.Dataset:
    """All rows of a table, with one schema and the partition values as typed columns.

    The files of a commit that is not yet visible as a whole are left out. Files that are merged while the dataset
    is used are still read, as long as compaction keeps them hidden. Reads no data; raises ``UsageError``
    if nothing is there, or if columns of one name cannot be read as one type.
    """
    if "://" not in url and (base_folder / url).is_file():
        return ds.dataset(base_folder / url, format="parquet")
    store = open_store(url, base_folder, Environment(), storage_options=storage_options, single_writer=True)
    views = [view for view in (look(store, ledger.owner) for ledger in ledgers(store)) if view.commit]
    return _by_manifest(store, views) if views else _by_looking(store, url)


def _by_manifest(store: Store, views: Iterable[TableView]) -> ds.Dataset:
    schema: pa.Schema | None = None
    keys: dict[str, pa.DataType] = {}
    paths: list[str] = []
    for view in views:
        paths += view.files
        for topic_schema in view.schemas.values():
            schema = _union(schema, topic_schema)
        for partition_by in view.partitionings:
            keys |= value_types(parse_all(partition_by), schema if schema is not None else pa.schema([]))
    return _dataset(store, paths, schema if schema is not None else pa.schema([]), keys)


def _by_looking(store: Store, url: str) -> ds.Dataset:
    paths = sorted(filter(is_parquet, store.data_files()))
    if not paths:
        raise UsageError(
            f"there is no Parquet file below {store.describe()}", hint=f"is {url} the folder or URL of a lake table?"
        )
    filesystem, root = store.filesystem()
    schema: pa.Schema | None = None
    texts: dict[str, set[str]] = {}
    for path in paths:
        schema = _union(schema, pq.read_schema(_below(root, path), filesystem=filesystem).remove_metadata())
        for key, value in _values(path).items():
            texts.setdefault(key, set()).update([] if value is None else [value])
    return _dataset(store, paths, schema, {key: _guessed(found) for key, found in texts.items()})


def _dataset(store: Store, paths: Sequence[str], schema: pa.Schema, keys: Mapping[str, pa.DataType]) -> ds.Dataset:
    if not all(map(is_parquet, paths)):
        schema = as_texts_tell(schema)
    column = schema.names[0] if len(schema) else ""
    for key, kind in keys.items():
        index = schema.get_field_index(key)
        schema = schema.remove(index) if index >= 0 else schema
        schema = schema.append(pa.field(key, kind))
    filesystem, root = following(store)
    fragments = [
        dataset_format(path, column).make_fragment(
            _below(root, path), filesystem, partition_expression=_guarantee(path, keys)
        )
        for path in paths
    ]
    return ds.FileSystemDataset(fragments, schema, ds.ParquetFileFormat(), filesystem)


def _guarantee(path: str, keys: Mapping[str, pa.DataType]) -> ds.Expression:
    """What the folders of a file say about all of its rows."""
    found = ds.scalar(True)
    for key, value in _values(path).items():
        if key in keys:
            field = ds.field(key)
            found = found & (field.is_null() if value is None else field == pa.scalar(value).cast(keys[key]))
    return found


def _values(path: str) -> dict[str, str | None]:
    parsed = (hive.parse_component(name) for name in path.split("/")[:-1])
    return dict(item for item in parsed if item is not None)


def _guessed(texts: set[str]) -> pa.DataType:
    """The type of a folder key that no manifest tells: a whole number, a date, else text."""
    values = pa.array(sorted(texts), pa.string())
    canonical: tuple[pa.DataType, ...] = (pa.int64(), pa.date32())
    for kind in canonical:
        try:
            if values.cast(kind).cast(pa.string()).equals(values):
                return kind
        except pa.ArrowInvalid:
            continue
    return pa.string()


def _union(old: pa.Schema | None, new: pa.Schema) -> pa.Schema:
    merged = merge(old, new)
    if merged.clashes:
        path, one, other = merged.clashes[0]
        raise UsageError(
            f"the column {path} is a {one} in some files and a {other} in others",
            hint="read the files of one topic, or of one sink, by their names",
        )
    return merged.schema


def _below(root: str, path: str) -> str:
    return f"{root}/{path}"
