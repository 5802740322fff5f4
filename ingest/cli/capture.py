"""``ingest capture``: installs and removes the triggers that write down the changes of SQLite tables."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingest.cli.exit_codes import EXIT_DONE, named_on_command_line
from ingest.cli.output import json_option, print_rows
from ingest.cli.talk import Talk
from ingest.errors import UsageError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from sqlite3 import Connection


@click.group()
def capture() -> None:
    """Write down the changes of SQLite tables, for the source `sqlite_cdc`.

    Triggers on each table log every insert, update and delete into a table beside it, in the transaction that makes
    it, whatever program does. SQLite only: other databases log their changes themselves.
    """


@capture.command()
@click.argument("url")
@click.argument("tables", nargs=-1, required=True)
@click.option("--exclude", multiple=True, metavar="TABLE", help="Leave this one (or this pattern) out.")
@click.pass_obj
def install(talk: Talk, /, url: str, tables: tuple[str, ...], exclude: tuple[str, ...]) -> int:
    """Begin to write down the changes of TABLES (names, or patterns such as 'main.*') of the database at URL.

    \b
    ingest capture install sqlite:///shop.db orders customers

    Safe to repeat: what is there stays. After ALTER TABLE ADD COLUMN, run it again once the pipeline has caught up.
    """
    from ingest.sources.sqlite_cdc import capture as room

    with named_on_command_line(), _opened(url) as database:
        done = room.install(database, tables, exclude, lambda: uuid.uuid4().hex)
    talk.say(f"changes of {', '.join(done)} are written down from now on" if done else "they are there already")
    return EXIT_DONE


@capture.command()
@click.argument("url")
@click.argument("tables", nargs=-1)
@click.pass_obj
def remove(talk: Talk, /, url: str, tables: tuple[str, ...]) -> int:
    """Stop writing down changes of TABLES, or of all: triggers, and changes that nobody has read, go."""
    from ingest.sources.sqlite_cdc import capture as room

    with named_on_command_line(), _opened(url) as database:
        gone = room.remove(database, tables)
    talk.say(f"changes of {', '.join(gone)} are not written down any more" if gone else "nothing was captured")
    return EXIT_DONE


@capture.command(name="list")
@click.argument("url")
@json_option
def list_captured(url: str, as_json: bool) -> int:
    """Show which tables are captured, and how many changes wait to be read."""
    from ingest.sources.sqlite_cdc import capture as room

    with named_on_command_line(), _opened(url) as database:
        found = room.installed(database)
        rows = [
            {"table": each.table, "waiting": room.waiting(database, each.table), "fault": each.fault or None}
            for each in found
        ]
    print_rows(rows, ["table", "waiting", "fault"], as_json=as_json)
    return EXIT_DONE


def _opened(url: str) -> AbstractContextManager[Connection]:
    from ingest.database_url import kind_of, sqlite_path
    from ingest.sources.sqlite_cdc import capture as room

    try:
        kind = kind_of(url)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if kind != "sqlite":
        raise UsageError(
            "only changes of SQLite are captured by triggers",
            hint="postgres_cdc and mysql_cdc read the log of their server: nothing is installed",
        )
    return room.opened(sqlite_path(url, Path()))
