"""``ingest tables``, ``ingest databases`` and ``ingest eval``: what a database holds, and what it answers."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import click

from ingest.cli.database_options import database_options, taken
from ingest.cli.output import json_option, print_rows
from ingest.cli.talk import Talk


@click.command()
@database_options
@json_option
def tables(as_json: bool, **given: Any) -> None:
    """List the tables and views that this user may see, with their schemas."""
    from ingest.sources.sql.statements import tables_statement

    _print(given, tables_statement(given["connect"].removeprefix("jdbc:")), as_json, None)


@click.command()
@database_options
@json_option
def databases(as_json: bool, **given: Any) -> None:
    """List the databases of a server."""
    from ingest.sources.sql.statements import databases_statement

    _print(given, databases_statement(given["connect"].removeprefix("jdbc:")), as_json, None)


@click.command("eval")
@database_options
@click.option("-e", "--query", required=True, help="The statement, in the database's own SQL.")
@click.option("--write", is_flag=True, help="Let it change something; without this the database itself refuses.")
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help="Rows of the table that is shown."
)
@json_option
@click.pass_obj
def eval_(talk: Talk, /, query: str, write: bool, limit: int, as_json: bool, **given: Any) -> None:
    """Run one statement and print what it gives; --json prints all rows."""
    shown = _print(given, query, as_json, None if as_json else limit, write=write)
    if not as_json and shown > limit:
        talk.warn(f"only the first {limit} rows are shown", hint="--limit N shows more; --json prints all")


def _print(given: dict[str, Any], statement: str, as_json: bool, limit: int | None, *, write: bool = False) -> int:
    """How many rows there were, up to one more than ``limit``."""
    from ingest.sources.sql.statements import answer

    address = taken(given).settings(tables=["-"]).address
    with answer(address, Path.cwd(), statement, write=write) as (names, rows):
        if not names:
            return 0
        some = [*itertools.islice(rows, limit + 1)] if limit else rows
        shown = itertools.islice(some, limit) if limit else some
        print_rows((dict(zip(names, row, strict=True)) for row in shown), names, as_json=as_json)
        return len(some) if isinstance(some, list) else 0
