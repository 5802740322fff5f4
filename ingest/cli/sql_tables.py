"""The tables of a query: lake tables by folder or URL, topics by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.cli.hub_folder import is_hub, open_hub
from ingest.cli.reading import Decoder, batches

if TYPE_CHECKING:
    import pyarrow as pa
    from datafusion import SessionContext

    from ingest.cli.talk import Talk
    from ingest.connectors import Records
    from ingest.hub.contract import Hub

_SKIPPED = r"--[^\n]*|/\*.*?\*/"
_LAKE = re.compile(rf"{_SKIPPED}|\"(?:[^\"]|\"\")*\"|\b(from|join)\s+'((?:[^']|'')+)'|'(?:[^']|'')*'", re.I | re.S)
_TOPIC = re.compile(
    rf"{_SKIPPED}|'(?:[^']|'')*'|\b(?:from|join)\s+(?:\"((?:[^\"]|\"\")+)\"|([A-Za-z_][A-Za-z0-9_]*))", re.I | re.S
)


def register_lakes(context: SessionContext, query: str, options: Mapping[str, Any]) -> str:
    """Replaces each quoted folder or URL by the name of a table that stands for it."""
    from ingest.sinks.lake.reading import open_dataset

    names: dict[str, str] = {}

    def named(match: re.Match[str]) -> str:
        if match[2] is None:
            return match[0]
        url = match[2].replace("''", "'")
        if url not in names:
            names[url] = _quoted(f"lake {url}")  # no topic's name has a blank
            context.register_dataset(names[url], open_dataset(url, Path.cwd(), options))
        return f"{match[1]} {names[url]}"

    return _LAKE.sub(named, query)


def register_topics(context: SessionContext, talk: Talk, query: str, data: Path, scratch: Path) -> None:
    """Makes tables of the topics of ``data`` that the query names; they are spilled below ``scratch``."""
    wanted = {(match[1] or match[2] or "").replace('""', '"') for match in _TOPIC.finditer(query)}
    if not is_hub(data):
        return
    with open_hub(data, writable=False) as hub:
        known = {topic.name for topic in hub.topics()}
        for number, name in enumerate(sorted(wanted & known)):
            decoder = Decoder(hub)
            _register_topic(context, hub, decoder, name, scratch / str(number))
            decoder.warn(talk)


def _register_topic(context: SessionContext, hub: Hub, decoder: Decoder, topic: str, path: Path) -> None:
    """Spills the topic into files of columns, so that memory stays bounded however long it is."""
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    files: list[Path] = []
    for partition in range(hub.topic(topic).partitions):
        files += _spilled(hub, decoder, topic, partition, path.with_name(f"{path.name}-{partition}"))
    if not files:
        empty = pa.RecordBatch.from_pydict({"value": pa.array([], pa.string())})
        context.register_record_batches(_quoted(topic), [[empty]])
        return
    schema = pa.unify_schemas([pq.read_schema(file) for file in files], promote_options="permissive")
    context.register_dataset(_quoted(topic), ds.dataset([str(file) for file in files], schema=schema))


def _spilled(hub: Hub, decoder: Decoder, topic: str, partition: int, path: Path) -> Iterator[Path]:
    """One file for each run of batches with the same columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    start, end = hub.start_offset(topic, partition), hub.end_offset(topic, partition)
    writer, count = None, 0
    for records in batches(hub, topic, partition, start, end):
        table = pa.Table.from_batches([_columns(decoder.decoded(records))])
        if writer is None or writer.schema != table.schema:
            if writer is not None:
                writer.close()
            file = path.with_name(f"{path.name}-{count}.parquet")
            writer, count = pq.ParquetWriter(file, table.schema, compression="lz4"), count + 1
            yield file
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _columns(records: Records) -> pa.RecordBatch:
    """The value's columns and what the log knows of each record."""
    import pyarrow as pa

    batch = records.columns()
    if batch.schema.names == ["value"] and pa.types.is_binary(batch.schema.field(0).type):
        batch = _as_text(batch)
    extra = {
        "_timestamp": records.timestamp,
        "_partition": pa.repeat(pa.scalar(records.partition, pa.int32()), batch.num_rows),
        "_offset": records.offsets,
        "_key": records.key,
    }
    for name, column in extra.items():
        if column is not None and name not in batch.schema.names:
            batch = batch.append_column(name, column)
    return batch


def _as_text(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Bytes as text where all of them are UTF-8: what a person wants to see of a topic of unknown format."""
    import pyarrow as pa

    try:
        return pa.RecordBatch.from_arrays([batch.column(0).cast(pa.string())], names=["value"])
    except pa.ArrowInvalid:
        return batch


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
