"""``ingest import --validate``: the source is read once more, and its rows are compared with those in the target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from ingest.cli.database_options import Database
from ingest.cli.exit_codes import EXIT_DONE, EXIT_FAILED
from ingest.cli.import_options import Asked
from ingest.cli.talk import Talk
from ingest.errors import IngestError, UsageError
from ingest.formats.row_digests import Checksum
from ingest.sources.databases.reader import Finished, TableReader

if TYPE_CHECKING:
    from ingest.sources.databases.tables import TableInfo

_WAIT_MS = 500


def compare(talk: Talk, database: Database, asked: Asked, tables: Sequence[TableInfo]) -> int:
    """Counts and order-free checksums of all rows; the exit code. The source is read as it is now."""
    from ingest.cli.import_command import settings_of
    from ingest.cli.import_pipeline import targets_of
    from ingest.sources.sql.readers import reader_for

    settings = settings_of(database, asked)
    reader = reader_for(settings, Path.cwd(), 4 * 1024 * 1024)
    try:
        now = reader.tables(settings.selection)
        sources, refused = of_source(reader, now)
    finally:
        reader.close()
    code = EXIT_DONE
    for table in tables:
        target = targets_of(asked, tables)[table.stream]
        found, unread = _found(target, asked, schema_of(table))
        if sources.get(table.stream) == found and not unread:
            talk.say(
                f"{table.stream}: {found.rows:,} rows in source and target, checksum {found.text}",
                table=table.stream,
                rows=found.rows,
                checksum=found.text,
            )
        else:
            code = EXIT_FAILED
            talk.error(_differs(table.stream, sources.get(table.stream), found, unread, target))
        if refused.get(table.stream):
            talk.warn(f"{table.stream}: {refused[table.stream]:,} rows more are dead letters")
    return code


def _found(target: str, asked: Asked, schema: pa.Schema) -> tuple[Checksum, int]:
    """Of the target; and how many records in it are no rows of this schema."""
    if asked.form == "parquet":
        return of_target(target, schema), 0
    from ingest.cli.import_files import of_files

    return of_files(target, asked, schema)


def of_source(reader: TableReader, tables: Sequence[TableInfo]) -> tuple[dict[str, Checksum], dict[str, int]]:
    """Of each table that ``reader`` reads, by its stream; and how many rows of it cannot be read as they are."""
    sums = {table.stream: Checksum() for table in tables}
    refused = dict.fromkeys(sums, 0)
    reader.start(tables)
    while True:
        try:
            part = reader.next_part(_WAIT_MS)
        except Finished:
            return sums, refused
        if part is not None:
            sums[part.table.stream].add(part.rows)
            refused[part.table.stream] += len(part.dead)


def of_target(target: str, schema: pa.Schema) -> Checksum:
    """Of what a reader of the target sees, in the source's types; of nothing where it cannot be read as such."""
    from ingest.sinks.lake.reading import open_dataset

    found = Checksum()
    if not schema.names:
        return found
    try:
        dataset = open_dataset(target, Path.cwd())
    except UsageError:  # nothing is there, as of an empty table
        return found
    missing = [name for name in schema.names if name not in dataset.schema.names]
    if missing:
        raise IngestError(f"{target} has no column {missing[0]}")
    for batch in dataset.to_batches(columns=schema.names, batch_size=65_536):
        found.add(pa.RecordBatch.from_struct_array(batch.cast(schema).to_struct_array()))
    return found


def schema_of(table: TableInfo) -> pa.Schema:
    """Of the rows that a reader of the table gives."""
    return pa.schema([pa.field(column.name, column.type) for column in table.columns])


def _differs(stream: str, source: Checksum | None, target: Checksum, unread: int, place: str) -> IngestError:
    if source is None:
        return IngestError(f"{stream} is not there any more: nothing to compare {place} with")
    what = f"{source.rows:,} rows are in the source now, {target.rows:,} in {place}"
    if unread:
        what += f"; {unread:,} records more of the files cannot be read as its rows"
    elif source.rows == target.rows:
        what += f"; their checksums are {source.text} and {target.text}"
    return IngestError(f"{stream}: {what}", hint="is somebody writing to the table? then import and validate again")
