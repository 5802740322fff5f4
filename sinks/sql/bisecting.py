"""Finding the rows for which a database refuses a statement: halves are tried, until what is refused stands alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ingest.sinks.changes.rows import Rows
from ingest.sinks.sql.database import Database, RowsRefused


def write_what_can_be(
    database: Database, rows: Rows, write: Callable[[Rows], None]
) -> Iterator[tuple[Rows, RowsRefused]]:
    """All rows that ``write`` can write are written, in their order; yields the others one by one, with the reason.
    To be called within a transaction."""
    waiting = [rows] if len(rows) else []
    while waiting:
        part = waiting.pop()
        database.savepoint()
        try:
            write(part)
        except RowsRefused as refusal:
            database.undo()
            if len(part) == 1:
                yield part, refusal
                continue
            half = len(part) // 2
            waiting += [part.slice(half), part.slice(0, half)]
        else:
            database.release()
