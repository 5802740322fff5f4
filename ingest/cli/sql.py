"""``ingest sql``: SQL over topics and lake tables."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ingest.cli.hub_folder import data_option, open_hub
from ingest.cli.output import json_option, print_rows
from ingest.cli.talk import Talk
from ingest.errors import IngestError, TopicMissing, UsageError

if TYPE_CHECKING:
    from datafusion import SessionContext

_LAKE = re.compile(r"\b(from|join)\s+'((?:[^']|'')+)'", re.IGNORECASE)
_TOPIC = re.compile(r'\b(?:from|join)\s+(?:"((?:[^"]|"")+)"|([A-Za-z_][A-Za-z0-9_]*))', re.IGNORECASE)


@click.command()
@click.argument("query", metavar="QUERY")
@click.option(
    "--limit", type=click.IntRange(1), default=1000, show_default=True, help="Most rows in a table for people."
)
@data_option
@json_option
@click.pass_obj
def sql(talk: Talk, query: str, limit: int, data: Path, as_json: bool) -> None:
    """Query topics and lake tables with SQL (DataFusion's dialect, close to PostgreSQL's).

    \b
    A lake table is its folder or URL in single quotes, a topic its name in double quotes:
      ingest sql "SELECT status, count(*) FROM './lake/access' GROUP BY status"
      ingest sql "SELECT * FROM \\"access.dead\\" LIMIT 5" --data ./data

    A lake table that a sink of ours writes is read by its manifest: the query sees one commit, whole.
    A topic has the columns of its values, and _timestamp, _partition, _offset and _key.
    """
    from datafusion import SessionContext

    context = SessionContext()
    with tempfile.TemporaryDirectory(prefix="ingest-sql-") as scratch:
        query = _register_lakes(context, query)
        _register_topics(context, query, data, Path(scratch))
        _run(talk, context, query, limit, as_json)


def _register_lakes(context: SessionContext, query: str) -> str:
    """Replaces each quoted folder or URL by the name of a table that stands for it."""
    from ingest.sinks.lake.reading import open_dataset

    names: dict[str, str] = {}

    def named(match: re.Match[str]) -> str:
        url = match.group(2).replace("''", "'")
        if url not in names:
            names[url] = f"lake_{len(names)}"
            context.register_dataset(names[url], open_dataset(url, Path.cwd()))
        return f"{match.group(1)} {names[url]}"

    return _LAKE.sub(named, query)


def _register_topics(context: SessionContext, query: str, data: Path, scratch: Path) -> None:
    wanted = {(quoted or plain).replace('""', '"') for quoted, plain in _TOPIC.findall(query)}
    wanted = {name for name in wanted if not name.startswith("lake_")}
    if not wanted or not data.is_dir():
        return
    with open_hub(data, writable=False) as hub:
        known = {topic.name for topic in hub.topics()}
        for number, name in enumerate(sorted(wanted & known)):
            _register_topic(context, hub, name, scratch / f"{number}.parquet")


def _register_topic(context: SessionContext, hub: Any, topic: str, path: Path) -> None:
    """Spills the topic into a file of columns, so that memory stays bounded however long it is."""
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    from ingest.cli.reading import batches, decoded

    files: list[Path] = []
    for partition in range(hub.topic(topic).partitions):
        start, end = hub.start_offset(topic, partition), hub.end_offset(topic, partition)
        writer = None
        for records in batches(hub, topic, partition, start, end):
            table = pa.Table.from_batches([_columns(decoded(hub, records))])
            if writer is None or writer.schema != table.schema:
                if writer is not None:
                    writer.close()
                files.append(path.with_suffix(f".{len(files)}.parquet"))
                writer = pq.ParquetWriter(files[-1], table.schema, compression="lz4")
            writer.write_table(table)
        if writer is not None:
            writer.close()
    quoted = topic.replace('"', '""')
    if not files:
        context.register_record_batches(
            f'"{quoted}"', [[pa.RecordBatch.from_pydict({"value": pa.array([], pa.string())})]]
        )
        return
    schemas = [pq.read_schema(file) for file in files]
    schema = pa.unify_schemas(schemas, promote_options="permissive")
    context.register_dataset(f'"{quoted}"', ds.dataset([str(file) for file in files], schema=schema))


def _columns(records: Any) -> Any:
    """The value's columns and what the log knows of each record."""
    import pyarrow as pa

    batch = records.columns()
    if batch.schema.names == ["value"] and pa.types.is_binary(batch.schema.field(0).type):
        batch = _as_text(batch)
    length = batch.num_rows
    extra = {
        "_timestamp": records.timestamp,
        "_partition": pa.array([records.partition], pa.int32()).take(pa.array([0] * length, pa.int64())),
        "_offset": records.offsets,
        "_key": records.key,
    }
    for name, column in extra.items():
        if column is not None and name not in batch.schema.names:
            batch = batch.append_column(name, column)
    return batch


def _as_text(batch: Any) -> Any:
    """Bytes as text where all of them are UTF-8: what a person wants to see of a topic of unknown format."""
    import pyarrow as pa

    try:
        return pa.RecordBatch.from_arrays([batch.column(0).cast(pa.string())], names=["value"])
    except pa.ArrowInvalid:
        return batch


def _run(talk: Talk, context: SessionContext, query: str, limit: int, as_json: bool) -> None:
    try:
        frame = context.sql(query)
        columns = frame.schema().names
        rows, cut = _rows(frame, None if as_json else limit)
        print_rows(rows, columns, as_json=as_json)
    except IngestError:
        raise
    except Exception as error:  # DataFusion raises plain Exceptions for what a query does wrong
        raise _explained(error) from error
    if cut:
        talk.warn(f"only the first {limit} rows are shown", hint="--limit N shows more; --json prints all")


def _rows(frame: Any, limit: int | None) -> tuple[Any, bool]:
    if limit is None:
        return (row for batch in frame.execute_stream() for row in batch.to_pyarrow().to_pylist()), False
    rows: list[Any] = []
    for batch in frame.execute_stream():
        rows.extend(batch.to_pyarrow().to_pylist())
        if len(rows) > limit:
            return rows[:limit], True
    return rows, False


def _explained(error: Exception) -> IngestError:
    text = str(error)
    missing = re.search(r"table '(?:[\w]+\.[\w]+\.)?(.+?)' not found", text)
    if missing:
        hint = "a topic is written in double quotes and read from --data; a lake folder in single quotes"
        return TopicMissing(f"there is no topic {missing.group(1)}", hint=hint)
    return UsageError(text.splitlines()[0] if text else "the query failed", hint=text.partition("\n")[2] or None)
