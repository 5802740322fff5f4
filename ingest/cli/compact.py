"""``ingest compact``: merges the small files of lake tables."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ingest.cli.compacted_tables import Table, tables_of
from ingest.cli.exit_codes import EXIT_DONE, EXIT_FAILED, named_on_command_line
from ingest.cli.output import json_option, print_json, print_rows
from ingest.cli.stopping import stop_signal
from ingest.cli.storage_options import storage_option
from ingest.cli.talk import Talk
from ingest.errors import IngestError, Retriable, SinkFenced, UsageError

if TYPE_CHECKING:
    from ingest.sinks.parquet.compaction.compactor import Compactor, Merged, Result
    from ingest.sinks.parquet.compaction.plan import Merge

_COLUMNS = ["sink", "folder", "topic", "partition", "files", "rows", "bytes", "into", "into_bytes"]
_LINE_EVERY_MS = 10_000


@click.command()
@click.argument("place", metavar="URL|FILE")
@click.option("--sink", help="Only the files of this sink, where several write to the table, or the file has several.")
@click.option("--below", metavar="SIZE", help="Merge files smaller than this.  [default: 64MiB]")
@click.option("--to", metavar="SIZE", help="Size of merged files, about.  [default: 256MiB]")
@click.option("--min-files", type=click.IntRange(2), help="So many neighbours make a merge.  [default: 2]")
@click.option("--grace", metavar="TIME", help="How long merged files are kept, hidden, for readers.  [default: 1h]")
@click.option("--newest-schema", is_flag=True, help="Also write files anew that lack columns, or types, of today.")
@click.option("--plan", "only_plan", is_flag=True, help="Only show what would be merged; change nothing.")
@click.option("--vacuum", "only_vacuum", is_flag=True, help="Only remove files that have been hidden for their grace.")
@click.option("--every", metavar="TIME", help="Go on until stopped, with a look each TIME (10m, 1h).")
@click.option("--single-writer", is_flag=True, help="The store cannot tell two writers apart, and there is one.")
@storage_option
@json_option
@click.pass_obj
def compact(talk: Talk, /, place: str, every: str | None, as_json: bool, **given: Any) -> int:
    """Merge the small Parquet files of a lake table into large ones.

    A table is named by its folder or URL, or by the pipeline FILE whose sinks write to it. Sinks may go on writing
    meanwhile, and readers reading: who globs the folder never sees a row twice, `ingest sql` always sees all.
    """
    from ingest.environment import Environment

    stopping = threading.Event()
    environment = Environment()
    with stop_signal(stopping.set):
        with named_on_command_line():
            wait_ms = None if every is None else _duration_ms(every)
            tables = tables_of(place, given)
        command = _Command(talk, tables, environment, stopping, given, as_json)
        code = command.round(keep_on=wait_ms is not None)
        while wait_ms is not None and not environment.clock.wait(stopping, wait_ms):
            code = command.round(keep_on=True)
    return code


class _Command:
    """What is done to all tables, once or again and again."""

    def __init__(
        self,
        talk: Talk,
        tables: Sequence[Table],
        environment: Any,
        stopping: threading.Event,
        given: dict[str, Any],
        as_json: bool,
    ) -> None:
        self._talk = talk
        self._tables = tables
        self._environment = environment
        self._stopping = stopping
        self._given = given
        self._as_json = as_json

    def round(self, *, keep_on: bool) -> int:
        """One look at each table. With ``keep_on``, what may be better next time is told and does not end it."""
        code = EXIT_DONE
        for table in self._tables:
            try:
                code = max(code, self._one(table))
            except IngestError as error:
                if not keep_on or not isinstance(error, SinkFenced | Retriable):
                    raise
                self._talk.error(error)
        return code

    def _one(self, table: Table) -> int:
        if self._given["only_plan"]:
            self._print([_row(table, merge, None) for merge in self._compactor(table).plan()])
            return EXIT_DONE
        if self._given["only_vacuum"]:
            removed = self._compactor(table).vacuum()
            self._talk.say(
                f"{table.owner}: {len(removed)} hidden files removed", sink=table.owner, removed=len(removed)
            )
            return EXIT_DONE
        rows: list[dict[str, Any]] = []
        result = self._compactor(table, rows).run()
        if not self._as_json:
            self._print(rows)
        self._tell(table, result)
        return EXIT_FAILED if result.problems else EXIT_DONE

    def _compactor(self, table: Table, rows: list[dict[str, Any]] | None = None) -> Compactor:
        from ingest.sinks.parquet.compaction.compactor import Compactor

        clock = self._environment.clock
        next_line_ms = clock.monotonic_ms() + _LINE_EVERY_MS

        def progress(merged: Merged) -> None:
            nonlocal next_line_ms
            row = _row(table, merged.merge, merged)
            if self._as_json:
                print_json(row)
            elif rows is not None:
                rows.append(row)
                if clock.monotonic_ms() >= next_line_ms:
                    next_line_ms = clock.monotonic_ms() + _LINE_EVERY_MS
                    self._talk.say(f"{table.owner}: {len(rows)} merges done, last in {row['folder'] or 'the table'}")

        return Compactor.of_sink(
            table.sink,
            table.compact,
            table.owner,
            table.base_folder,
            self._environment,
            thorough=True,
            newest_schema=self._given["newest_schema"],
            stopping=self._stopping,
            progress=progress,
        )

    def _print(self, rows: list[dict[str, Any]]) -> None:
        if rows:
            print_rows(rows, _COLUMNS, as_json=self._as_json)

    def _tell(self, table: Table, result: Result) -> None:
        files = sum(len(merged.merge.files) for merged in result.merged)
        stopped = ", then it was stopped" if result.interrupted else ""
        self._talk.say(
            f"{table.owner}: {files} files became {len(result.merged)}, "
            f"{len(result.removed)} hidden ones were removed{stopped}",
            sink=table.owner,
            files=files,
            into=len(result.merged),
            removed=len(result.removed),
        )
        for problem in result.problems:
            self._talk.error(problem)


def _row(table: Table, merge: Merge, merged: Merged | None) -> dict[str, Any]:
    return {
        "table": table.sink.url,
        "sink": table.owner,
        "folder": merge.folder,
        "topic": merge.topic,
        "partition": merge.partition,
        "files": len(merge.files),
        "rows": merge.rows,
        "bytes": merge.size_bytes,
        "into": None if merged is None else merged.into.stored.path,
        "into_bytes": None if merged is None else merged.into.stored.size_bytes,
    }


def _duration_ms(text: str) -> int:
    from ingest.config import parse_duration_ms

    try:
        found = parse_duration_ms(text)
    except ValueError as error:
        raise UsageError(f"--every: {error}") from error
    assert isinstance(found, int)
    return found
