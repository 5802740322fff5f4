"""Which types the values of columns have, of columns whose declaration does not say."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ingest.sources.databases.tables import quoted

_FIRST_ROWS = 1000


def stored_types(database: sqlite3.Connection, names: Sequence[str], rows: str) -> dict[str, set[str]]:
    """For each column the types of its values in ``rows`` (what stands behind FROM), without ``null``.

    Where the first rows show that no more can change the outcome, what they show is all that is told; the other
    columns are read to the end, all of them at once.
    """
    found: dict[str, set[str]] = {name: set() for name in names}
    _look(database, found, names, f"{rows} LIMIT {_FIRST_ROWS}")
    _look(database, found, [name for name in names if not _settled(found[name])], rows)
    return found


def _look(database: sqlite3.Connection, found: dict[str, set[str]], names: Sequence[str], rows: str) -> None:
    if not names:
        return
    kinds = ", ".join(f"typeof({quoted(name)})" for name in names)
    for row in database.execute(f"SELECT DISTINCT * FROM (SELECT {kinds} FROM {rows})"):  # noqa: S608 - quoted, or the user's own
        for name, kind in zip(names, row, strict=True):
            if kind != "null":
                found[name].add(kind)


def _settled(stored: set[str]) -> bool:
    """Texts, and blobs beside other values, make it a text whatever follows."""
    return "text" in stored or ("blob" in stored and len(stored) > 1)
