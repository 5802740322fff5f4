"""Finding the rows for which a database refuses a statement: halves are tried, until what is refused stands alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ingest.sinks.changes.rows import Rows
from ingest.sinks.sql.database import Database, RowsRefused


def write_what_can_be(
    database: Database, rows: Rows, write: Callable[[Rows, int], None]
) -> Iterator[tuple[int, RowsRefused]]:
    """All rows that ``write`` can write are written, in their order; yields the places of the others one by one, with
    the reason. ``write`` gets some of the rows and the place of their first. To be called within a transaction."""
    waiting = [(0, len(rows))] if len(rows) else []
    while waiting:
        start, end = waiting.pop()
        database.savepoint()
        try:
            write(rows.slice(start, end - start), start)
        except RowsRefused as refusal:
            database.undo()
            if end - start == 1:
                yield start, refusal
                continue
            half = (start + end) // 2
            waiting += [(half, end), (start, half)]
        else:
            database.release()
