"""How the settings divide a table."""

from __future__ import annotations

from ingest.sources.databases.reader import Piece, TableReader
from ingest.sources.databases.splits import boundaries, pieces_by, ranges
from ingest.sources.databases.tables import TableInfo
from ingest.sources.sql.settings import SqlSettings

_PIECES_A_READER = 4
"""So that readers who are done early take over what others have not begun."""
_PIECES_TO_RESUME = 16
"""A reader's; each is a commit."""


class Division:
    """Pieces of tables, as ``split_by``, ``boundary_query`` and ``splits`` say."""

    def __init__(self, reader: TableReader, settings: SqlSettings) -> None:
        self._reader = reader
        self._settings = settings

    def by_setting(self, table: TableInfo) -> list[Piece]:
        """None without ``split_by``: the reader knows best."""
        if not self._settings.split_by:
            return []
        return self._pieces(table, self._settings.split_by, self._settings.splits * _PIECES_A_READER)

    def by_key(self, table: TableInfo) -> list[Piece]:
        """By ``split_by``, or else by the primary key; whole without any. Rows stay in their piece while others
        change, as they would not in one of pages."""
        columns = self._settings.split_by or list(table.key)
        if not columns:
            return [Piece(table)]
        return self._pieces(table, columns, self._settings.splits * _PIECES_TO_RESUME)

    def _pieces(self, table: TableInfo, columns: list[str], count: int) -> list[Piece]:
        query = self._settings.boundary_query
        if query is None:
            return pieces_by(self._reader, table, columns, count, self._settings.where)
        found = boundaries(self._reader.ask(query.strip().rstrip(";")), count)
        return ranges(self._reader, table, columns, found)
