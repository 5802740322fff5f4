"""Data on stdout: aligned columns for people, one JSON object a line for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for machines.")


def print_json(row: Mapping[str, Any]) -> None:
    """One object on one line; times and other non-JSON values as text."""
    sys.stdout.write(json.dumps(row, default=str, ensure_ascii=False) + "\n")


def print_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """All rows as JSON lines, or the named columns as a table under a header."""
    if as_json:
        for row in rows:
            print_json(row)
        sys.stdout.flush()
        return
    table = [[_cell(row.get(column)) for column in columns] for row in rows]
    heads = [column.upper().replace("_", " ") for column in columns]
    widths = [max(map(len, cells)) for cells in zip(heads, *table, strict=True)]
    for cells in [heads, *table]:
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        sys.stdout.write(line.rstrip() + "\n")
    sys.stdout.flush()


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}"
    return str(value).replace("\n", " ")
