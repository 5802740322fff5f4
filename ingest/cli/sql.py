"""``ingest sql``: SQL over topics and lake tables; it reads, and never writes."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ingest.cli.columns import cells, json_lines, unlike_names
from ingest.cli.exit_codes import named_on_command_line
from ingest.cli.hub_folder import data_option, is_hub
from ingest.cli.output import json_option, print_line, print_rows
from ingest.cli.stopping import end_at_once, interruptible
from ingest.cli.storage_options import parsed_options, storage_option
from ingest.cli.talk import Talk
from ingest.errors import IngestError, UsageError

if TYPE_CHECKING:
    import pyarrow as pa
    from datafusion import DataFrame, SessionContext


@click.command()
@click.argument("query", metavar="QUERY")
@click.option(
    "--limit", type=click.IntRange(1), default=1000, show_default=True, help="Most rows in a table for people."
)
@storage_option
@data_option
@json_option
@click.pass_obj
def sql(talk: Talk, query: str, limit: int, options: tuple[str, ...], data: Path, as_json: bool) -> None:
    """Query topics and lake tables with SQL (DataFusion's dialect, close to PostgreSQL's). Nothing is written.

    \b
    A lake table is its folder or URL in single quotes, a topic its name in double quotes:
      ingest sql "SELECT status, count(*) FROM './lake/access' GROUP BY status"
      ingest sql "SELECT * FROM \\"access.dead\\" LIMIT 5" --data ./data

    A lake table that a sink of ours writes is read by its manifest: the query sees one commit, whole.
    A topic has the columns of its values, and _timestamp, _partition, _offset and _key.
    """
    from datafusion import SessionContext

    from ingest.cli.sql_tables import register_lakes, register_topics

    end_at_once()  # a query that has its rows leaves threads behind that still read
    context = SessionContext()
    with tempfile.TemporaryDirectory(prefix="ingest-sql-") as scratch:
        with named_on_command_line():
            query = register_lakes(context, query, parsed_options(options))
        register_topics(context, talk, query, data, Path(scratch))
        frame = _planned(context, query, data)
        if as_json:
            _print_all(frame)
        else:
            _print_table(talk, frame, limit)


# DataFusion does not look at signals while it works: all calls that may take long are interruptible.


def _planned(context: SessionContext, query: str, data: Path) -> DataFrame:
    from datafusion import SQLOptions

    reading = SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)
    try:
        return interruptible(lambda: context.sql_with_options(query, reading))
    except ValueError as error:  # what the query itself does wrong
        raise _refused(str(error), data) from error


def _refused(text: str, data: Path) -> UsageError:
    missing = re.search(r"table '(?:[\w]+\.[\w]+\.)?(.+?)' not found", text)
    if missing:
        place = f"in {data}" if is_hub(data) else f"as {data} is no data folder: name one with --data"
        hint = "a topic is written in double quotes and read from --data; a lake folder in single quotes"
        return UsageError(f"there is no topic {missing[1]} {place}", hint=hint)
    writing = re.search(r"(?:DDL|DML|Statement) not supported: (\w+)", text)
    if writing:
        hint = "write SELECT ...; to keep the result, redirect what it prints, with --json"
        return UsageError(f"ingest sql only reads: {writing[1]} is refused", hint=hint)
    first, _, rest = text.partition("\n")
    return UsageError(first or "the query is refused", hint=rest or None)


def _batches(frame: DataFrame) -> Iterator[pa.RecordBatch]:
    stream = frame.execute_stream()
    while True:
        try:
            batch = interruptible(lambda: next(stream, None))
        except Exception as error:
            # It raises what goes wrong with the data as plain Exceptions; any class of its own is another's.
            if type(error) is not Exception:
                raise
            message, _, rest = str(error).removeprefix("DataFusion error: ").partition("\n")
            raise IngestError(f"the query failed: {message}", hint=rest or None) from error
        if batch is None:
            return
        yield batch.to_pyarrow()


def _print_all(frame: DataFrame) -> None:
    for batch in _batches(frame):
        for line in json_lines(batch):
            print_line(line)
    sys.stdout.flush()


def _print_table(talk: Talk, frame: DataFrame, limit: int) -> None:
    rows: list[dict[str, Any]] = []
    for batch in _batches(frame):
        rows.extend(cells(batch.slice(0, limit + 1 - len(rows))))
        if len(rows) > limit:
            break
    print_rows(rows[:limit], unlike_names(frame.schema().names), as_json=False)
    if len(rows) > limit:
        talk.warn(f"only the first {limit} rows are shown", hint="--limit N shows more; --json prints all")
