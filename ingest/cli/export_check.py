"""``ingest export --validate``: what the table holds now is what it held before, and the rows of the files.

Both are order-free checksums of all rows, so that "before and the files" is a sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ingest.cli.database_options import Database
from ingest.cli.exit_codes import EXIT_DONE, EXIT_FAILED
from ingest.cli.export_files import ExportFiles
from ingest.cli.export_options import Asked
from ingest.cli.export_target import Target
from ingest.cli.import_check import of_source, schema_of
from ingest.cli.talk import Talk
from ingest.errors import IngestError
from ingest.formats.casting import cast_each
from ingest.formats.row_digests import Checksum

if TYPE_CHECKING:
    from ingest.sources.files.settings import FilesSettings


def table_now(database: Database, table: str, columns: Sequence[str]) -> tuple[Checksum, pa.Schema]:
    """Of the rows of the table, in these columns, and how they are read."""
    from ingest.sources.sql.readers import reader_for

    settings = database.settings(tables=[table], columns=list(columns))
    reader = reader_for(settings, Path.cwd(), 4 * 1024 * 1024)
    try:
        found = reader.tables(settings.selection)
        sums, _ = of_source(reader, found)
    finally:
        reader.close()
    return sums[found[0].stream], schema_of(found[0])


def before(database: Database, asked: Asked, target: Target, columns: Sequence[str]) -> Mapping[str, Any]:
    """What the table holds, for ``compare`` later, perhaps of another process."""
    names = [target.named(name) for name in columns] or list(target.columns)
    found, _ = table_now(database, asked.table, names)
    return {"columns": names, "rows": found.rows, "checksum": found.text}


def compare(
    talk: Talk,
    database: Database,
    asked: Asked,
    target: Target,
    files: tuple[ExportFiles, FilesSettings],
    began: Mapping[str, Any],
) -> int:
    """The exit code. Files and table are read as they are now."""
    now, schema = table_now(database, asked.table, began["columns"])
    expected = Checksum(began["rows"], began["checksum"])
    unread = _add_files(expected, *files, target, schema)
    added, there = now.rows - began["rows"], expected.rows - began["rows"]
    if now == expected and not unread:
        talk.say(
            f"{asked.table}: {added:,} rows of the files are in the table, checksum {now.text}",
            table=asked.table,
            rows=added,
            checksum=now.text,
        )
        return EXIT_DONE
    what = f"{there:,} rows are in the files, and {added:,} more than before in {asked.table}"
    if unread:
        what += f"; {unread:,} more of the files cannot be read"
    elif added == there:
        what += f"; the checksums are {expected.text} and {now.text}"
    hint = "dead letters have not come: `ingest dead-letters list` shows them; or did somebody else write to the table?"
    talk.error(IngestError(what, hint=hint))
    return EXIT_FAILED


def _add_files(total: Checksum, files: ExportFiles, settings: FilesSettings, target: Target, schema: pa.Schema) -> int:
    """Returns how many records cannot be read."""
    unread = 0
    for piece in files.pieces(settings):
        unread += len(piece.bad)
        if len(piece.value):
            total.add(_as_read(piece.value, target, schema))
    return unread


def _as_read(value: pa.StructArray, target: Target, schema: pa.Schema) -> pa.RecordBatch:
    """The rows as the table's reader gives them, if the table has taken them unchanged."""
    from ingest.sinks.sql.fitting import fit

    names = {target.named(field.name): field.name for field in value.type if target.has(field.name)}
    given = dict(zip((field.name for field in value.type), value.flatten(), strict=True))
    columns = [given[names[name]] if name in names else pa.nulls(len(value)) for name in schema.names]
    batch = pa.RecordBatch.from_arrays(columns, names=schema.names)
    fitted, _ = fit(batch, {name: target.columns[name] for name in schema.names})
    cast = [_cast(column, field.type) for column, field in zip(fitted.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(cast, schema=schema)


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_boolean(kind) and pa.types.is_integer(column.type):
        return pc.not_equal(column, 0)
    return column if column.type.equals(kind) else cast_each(column, kind)[0]
