"""The options of ``ingest export``: Sqoop's, as far as they mean something here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from ingest.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--table", required=True, help="The table that the rows go to: orders, or sales.orders. It is there."),
    click.option("--export-dir", required=True, metavar="DIR", help="The folder or file, or s3://, hdfs://, ..."),
    click.option(
        "--format",
        "form",
        type=click.Choice(["auto", "parquet", "avro", "json", "csv", "text"]),
        default="auto",
        show_default=True,
        help="auto: by the files' names; json is an object a line, csv has a header, text has the delimiters below.",
    ),
    click.option("--columns", metavar="A,B", help="Text: what its columns are; else: only these.  [default: all]"),
    click.option("--update-key", metavar="A[,B]", help="Change the rows that have these columns' values."),
    click.option(
        "--update-mode",
        type=click.Choice(["updateonly", "allowinsert"]),
        help="Rows that no row has the key of: a dead letter, or a new row.  [default: updateonly]",
    ),
    click.option("--staging-table", help="Rows wait here, and go to the table in one transaction; made if missing."),
    click.option("--clear-staging-table", is_flag=True, help="Delete rows that others have left in it."),
    click.option("--input-fields-terminated-by", metavar="C", help="Text: between columns; \\001, \\t.  [default: ,]"),
    click.option("--input-lines-terminated-by", metavar="C", help="Text: after a row.  [default: \\n]"),
    click.option(
        "--input-enclosed-by", "--input-optionally-enclosed-by", metavar="C", help="Text: may be around a value."
    ),
    click.option("--input-escaped-by", metavar="C", help="Text: before a delimiter inside a text.  [default: \\]"),
    click.option("--input-null-string", metavar="S", help="Text: null in columns of texts.  [default: \\N]"),
    click.option("--input-null-non-string", metavar="S", help="Text: null in the others, besides nothing at all."),
    click.option("--batch", is_flag=True, help="For Sqoop's sake: rows always go in batches."),
    click.option(
        "-m",
        "--num-mappers",
        type=click.IntRange(1),
        help="For Sqoop's sake: one connection writes, for rows and position are one transaction.",
    ),
    click.option("--strict", is_flag=True, help="Stop at a row that cannot be read or written: no dead letters."),
    click.option("--again", is_flag=True, help="Begin anew: files that were exported already, too."),
    click.option("--validate", is_flag=True, help="Afterwards, compare counts and checksums of files and table."),
    click.option("--save-as", type=click.Path(dir_okay=False, path_type=Path), help="Write the pipeline file; no run."),
)
_OF_TEXT = (
    "input_fields_terminated_by",
    "input_lines_terminated_by",
    "input_enclosed_by",
    "input_escaped_by",
    "input_null_string",
    "input_null_non_string",
)


def export_options(command: F) -> F:
    """Adds them; ``asked_for`` makes an ``Asked`` of what click has read."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be exported, where to, and how. Delimiters are None where nothing was said."""

    table: str
    export_dir: str
    form: str
    columns: list[str]
    update_key: list[str]
    update_mode: str | None
    staging_table: str | None
    clear_staging_table: bool
    input_fields_terminated_by: str | None
    input_lines_terminated_by: str | None
    input_enclosed_by: str | None
    input_escaped_by: str | None
    input_null_string: str | None
    input_null_non_string: str | None
    batch: bool
    num_mappers: int | None
    strict: bool
    again: bool
    validate: bool
    save_as: Path | None

    @property
    def tells_of_text(self) -> bool:
        """Whether a delimiter is named: then the files are text."""
        return any(getattr(self, name) is not None for name in _OF_TEXT)

    @property
    def mode(self) -> str:
        """Of the sink."""
        if not self.update_key:
            return "insert"
        return "upsert" if self.update_mode == "allowinsert" else "update"


def asked_for(given: dict[str, Any]) -> Asked:
    """Raises ``UsageError`` for options that do not go together."""
    for name in ("columns", "update_key"):
        given[name] = [part.strip() for part in (given[name] or "").split(",") if part.strip()]
    asked = Asked(**given)
    for wrong, sentence in _CONTRADICTIONS:
        if wrong(asked):
            raise UsageError(sentence)
    return asked


_CONTRADICTIONS: tuple[tuple[Callable[[Asked], bool], str], ...] = (
    (lambda a: a.update_mode is not None and not a.update_key, "--update-mode needs --update-key"),
    (
        lambda a: bool(a.columns) and not set(a.update_key) <= set(a.columns),
        "--columns leaves out a column of --update-key",
    ),
    (
        lambda a: a.mode == "update" and a.staging_table is not None,
        "--staging-table goes with rows that are added: without --update-key, or with --update-mode allowinsert",
    ),
    (lambda a: a.clear_staging_table and a.staging_table is None, "--clear-staging-table needs --staging-table"),
    (lambda a: a.form not in ("auto", "text") and a.tells_of_text, "--input-...: for --format text"),
    (
        lambda a: a.validate and bool(a.update_key),
        "--validate compares what was added to the table: it does not go with --update-key",
    ),
    (lambda a: a.validate and a.save_as is not None, "--save-as does not run, so there is nothing to --validate"),
)
