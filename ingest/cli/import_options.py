"""The options of ``ingest import``: Sqoop's, as far as they mean something here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from ingest.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--table", help="The table or view: orders, or sales.orders."),
    click.option("--all-tables", is_flag=True, help="All tables of a schema, each into a folder of its name."),
    click.option("--schema", help="The schema of --all-tables.  [default: public; SQLite: main; MariaDB: the URL's]"),
    click.option("--exclude-tables", default="", metavar="A,B", help="Tables that --all-tables leaves out."),
    click.option("-e", "--query", help="A SELECT instead of a table; $CONDITIONS in it is not needed."),
    click.option("--columns", metavar="A,B", help="The columns to import.  [default: all]"),
    click.option("--where", help="A condition in the database's own SQL."),
    click.option("--split-by", metavar="A[,B]", help="Divide the work by ranges of these columns."),
    click.option("--boundary-query", help="Where --split-by divides: the least and greatest value, or a value a row."),
    click.option(
        "-m", "--num-mappers", type=click.IntRange(1, 64), default=4, show_default=True, help="Connections that read."
    ),
    click.option("--incremental", type=click.Choice(["append", "lastmodified"]), help="Only what is new."),
    click.option("--check-column", help="The column that tells what is new: an id, or the time of the last change."),
    click.option("--last-value", help="The first time, begin above this value of --check-column."),
    click.option("--merge-key", metavar="A[,B]", help="With --incremental: what identifies a row.  [default: its key]"),
    click.option("--target-dir", metavar="DIR", help="Where the files go: a folder, or s3://, hdfs://, ..."),
    click.option("--warehouse-dir", metavar="DIR", help="Where a folder of the table's name is made."),
    click.option("--as-parquetfile", "form", flag_value="parquet", default=True, help="Parquet files; the default."),
    click.option("--as-textfile", "form", flag_value="text", help="Text with delimiters, as Hive reads it."),
    click.option("--as-avrodatafile", "form", flag_value="avro", help="Avro files."),
    click.option("--fields-terminated-by", default=",", show_default=True, help="Text: between columns; \\001, \\t."),
    click.option("--escaped-by", default="\\", show_default=True, help="Text: before a delimiter inside a text."),
    click.option("--null-string", default="\\N", show_default=True, help="Text: what stands for null."),
    click.option("-z", "--compress", is_flag=True, help="Compress text with gzip. (Parquet is compressed always.)"),
    click.option("--append", is_flag=True, help="Add to a target that holds something."),
    click.option("--delete-target-dir", is_flag=True, help="Empty the target first."),
    click.option("--resume", is_flag=True, help="Commit splits as they are done; after a failure go on with the rest."),
    click.option("--validate", is_flag=True, help="Afterwards, compare counts and checksums of source and target."),
    click.option("--save-as", type=click.Path(dir_okay=False, path_type=Path), help="Write the pipeline file; no run."),
)


def import_options(command: F) -> F:
    """Adds them; ``asked_for`` makes an ``Asked`` of what click has read."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be imported, where to, and how."""

    table: str | None
    all_tables: bool
    schema: str | None
    exclude_tables: list[str]
    query: str | None
    columns: list[str] | None
    where: str | None
    split_by: list[str]
    boundary_query: str | None
    num_mappers: int
    incremental: str | None
    check_column: str | None
    last_value: str | None
    merge_key: list[str]
    target_dir: str | None
    warehouse_dir: str | None
    form: str
    fields_terminated_by: str
    escaped_by: str
    null_string: str
    compress: bool
    append: bool
    delete_target_dir: bool
    resume: bool
    validate: bool
    save_as: Path | None


def asked_for(given: dict[str, Any]) -> Asked:
    """Raises ``UsageError`` for options that do not go together."""
    for name in ("columns", "split_by", "merge_key", "exclude_tables"):
        given[name] = [part.strip() for part in given[name].split(",") if part.strip()] if given[name] else []
    given["columns"] = given["columns"] or None
    if given["query"] is not None:
        given["query"] = given["query"].replace("$CONDITIONS", "(1 = 1)")
    asked = Asked(**given)
    for wrong, sentence in _CONTRADICTIONS:
        if wrong(asked):
            raise UsageError(sentence)
    return asked


_CONTRADICTIONS: tuple[tuple[Callable[[Asked], bool], str], ...] = (
    (
        lambda a: (a.table is not None) + (a.query is not None) + a.all_tables != 1,
        "one of --table, --query and --all-tables is needed",
    ),
    (
        lambda a: (a.target_dir is None) == (a.warehouse_dir is None),
        "either --target-dir or --warehouse-dir is needed",
    ),
    (lambda a: a.query is not None and a.target_dir is None, "--query needs --target-dir"),
    (lambda a: a.all_tables and a.warehouse_dir is None, "--all-tables needs --warehouse-dir"),
    (
        lambda a: a.all_tables and bool(a.split_by or a.columns or a.where or a.incremental),
        "--all-tables goes without --split-by, --columns, --where and --incremental",
    ),
    (lambda a: not a.all_tables and bool(a.exclude_tables or a.schema), "--exclude-tables, --schema: for --all-tables"),
    (lambda a: (a.incremental is None) != (a.check_column is None), "--incremental and --check-column go together"),
    (lambda a: a.incremental is None and bool(a.last_value or a.merge_key), "--last-value, --merge-key: --incremental"),
    (lambda a: a.append and a.delete_target_dir, "either --append or --delete-target-dir, not both"),
    (
        lambda a: a.boundary_query is not None and len(a.split_by) != 1,
        "--boundary-query needs --split-by with one column",
    ),
    (
        lambda a: a.incremental is not None and bool(a.split_by or a.resume),
        "--incremental reads in the order of its column: --split-by and --resume do not go with it",
    ),
    (
        lambda a: a.validate and (a.append or a.incremental is not None),
        "--validate compares a whole import with its files: it does not go with --append and --incremental",
    ),
    (lambda a: a.validate and a.save_as is not None, "--save-as does not run, so there is nothing to --validate"),
)
