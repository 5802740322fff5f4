"""Data on stdout: aligned columns for people, one JSON object a line for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from ingest.cli.table import print_table
from ingest.errors import UsageError

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for machines.")


def print_json(row: Mapping[str, Any]) -> None:
    """One object on one line; what JSON has no word for as text."""
    print_line(json.dumps(row, default=str, ensure_ascii=False))


def print_line(text: str) -> None:
    """A line of JSON: valid also where the terminal's encoding lacks some of its letters."""
    if not _is_unicode(sys.stdout.encoding):
        text = "".join(letter if letter < "\x80" else json.dumps(letter)[1:-1] for letter in text)
    sys.stdout.write(text + "\n")


def print_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """All rows as JSON lines, or the named columns as a table."""
    if as_json:
        for row in rows:
            print_json(row)
    else:
        print_table(rows, columns)
    sys.stdout.flush()


def confirm(question: str, yes: bool) -> None:
    """Asks on stderr before something is lost for good. ``yes``: the command line has answered already."""
    if yes:
        return
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort as error:
        click.echo(err=True)  # the question is still waiting on its line
        raise UsageError("nobody answered, so nothing was changed", hint="--yes answers for you") from error
    if not agreed:
        raise UsageError("nothing was changed")


def _is_unicode(encoding: str | None) -> bool:
    return (encoding or "").lower().replace("-", "").replace("_", "").startswith("utf")
