"""Columns that are in the names of folders and not in the files, as Hive and Spark lay tables out: ``region=eu/``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import unquote

import pyarrow as pa

from ingest.sources.files.pieces import ObjectReader, Piece, Unreadable

_NULL = "__HIVE_DEFAULT_PARTITION__"


def folder_values(name: str) -> dict[str, str | None]:
    """What the folders in the name of an object tell."""
    parts = [folder.partition("=") for folder in name.split("/")[:-1]]
    return {unquote(key): None if value == _NULL else unquote(value) for key, equals, value in parts if equals}


class WithFolderColumns(ObjectReader):
    """The rows of another reader, with ``columns`` as texts. What a file has itself counts; raises ``Unreadable`` where
    neither the file nor its name has a column."""

    def __init__(self, reader: ObjectReader, name: str, columns: Sequence[str]) -> None:
        self._reader = reader
        self._values = folder_values(name)
        self._columns = columns

    def read(self, max_bytes: int) -> Piece | None:
        piece = self._reader.read(max_bytes)
        return piece if piece is None or not len(piece.value) else replace(piece, value=self._with_them(piece.value))

    def close(self) -> None:
        self._reader.close()

    def _with_them(self, rows: pa.Array) -> pa.Array:
        if not pa.types.is_struct(rows.type):
            raise Unreadable("its records have no columns, so none can be added from the names of folders")
        names = [field.name for field in rows.type]
        columns = rows.flatten()
        for name in self._columns:
            if name in names:
                continue
            if name not in self._values:
                raise Unreadable(f"neither it nor a folder in its name has the column {name}")
            names.append(name)
            columns.append(pa.repeat(pa.scalar(self._values[name], pa.string()), len(rows)))
        return pa.StructArray.from_arrays(columns, names=names, mask=rows.is_null())
