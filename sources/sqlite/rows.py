"""Rows of a cursor, bounded in bytes."""

from __future__ import annotations

import sqlite3

_MOST_ROWS = 10_000
_SLICE = 64
"""Rows between two looks at how much they take."""


def some_rows(cursor: sqlite3.Cursor, size_bytes: int) -> list[tuple[object, ...]]:
    """Rows of about ``size_bytes``, guessed from the texts and bytes of a few; at least one, none at the end."""
    rows: list[tuple[object, ...]] = []
    size, step = 0, 1
    while len(rows) < _MOST_ROWS and size < size_bytes and (more := cursor.fetchmany(step)):
        rows += more
        size += sum(len(value) if isinstance(value, str | bytes) else 8 for row in more for value in row)
        step = min(_SLICE, max(1, (size_bytes - size) * len(rows) // max(1, size)))
    return rows
