"""The files that ``ingest export`` reads, looked at before anything is written: which they are, and whether what the
first of them holds can go to the table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ingest.cli.export_options import Asked
from ingest.cli.export_target import Target
from ingest.errors import ConnectorError, UsageError

if TYPE_CHECKING:
    from ingest.sources.files.pieces import ObjectReader, Piece
    from ingest.sources.files.place import Found
    from ingest.sources.files.settings import FilesSettings

_PEEK_BYTES = 256 * 1024
_READ_BYTES = 4 * 1024 * 1024


class ExportFiles:
    """What is below a folder now. Raises ``ConnectorError`` where it is not there or cannot be read, ``UsageError``
    where it holds nothing to export."""

    def __init__(self, url: str) -> None:
        from ingest.sources.files.place import Gone, Place

        self.place = Place(url, Path.cwd(), {})
        troubles: dict[str, str] = {}
        try:
            self.found: list[Found] = sorted(self.place.walk(troubles), key=lambda found: found.name)
        except Gone:
            raise ConnectorError(f"{url} is not there", hint="--export-dir names a folder, or one file") from None
        for folder, reason in troubles.items():
            raise ConnectorError(f"{folder} cannot be read: {reason}", path=folder)
        if not self.found:
            raise UsageError(
                f"{url} holds nothing to export",
                hint="files whose names begin with _ or . and names that end in .tmp or .part are passed over",
            )

    def form(self, asked: Asked) -> str:
        """Which of the formats the files have: as it is said, or as all of their names tell."""
        if asked.form != "auto":
            return asked.form
        if asked.tells_of_text:
            return "text"
        first, *others = self.found
        form = _form_of(first.name or self.place.url)
        odd = next((found for found in others if _form_of(found.name) != form), None)
        if odd is not None:
            raise UsageError(
                f"{first.name} looks like {form}, and {odd.name} like {_form_of(odd.name)}",
                hint="--format says what all of them are; or export a folder of one kind",
            )
        return form

    def folder_columns(self, asked: Asked, target: Target) -> list[str]:
        """Columns of the table that are in the names of folders: Hive, Spark and our own sinks leave the columns by
        which a table is partitioned out of its files."""
        from ingest.sources.files.folder_columns import folder_values

        names = {name for found in self.found for name in folder_values(found.name)}
        return sorted(name for name in names if target.has(name) and (not asked.columns or name in asked.columns))

    def columns(self, settings: FilesSettings, asked: Asked, target: Target) -> list[str]:
        """The columns that are to be written, by the beginning of the files; empty if they have no rows. Raises
        ``UsageError`` if no row there could go to the table."""
        piece = next((piece for piece in self.pieces(settings, _PEEK_BYTES) if len(piece.value) or piece.bad), None)
        if piece is None:
            return []
        if not len(piece.value):
            raise UsageError(
                f"no row of {self.found[0].name or self.place.url} can be read: {piece.bad[0].reason}",
                hint="--format and --input-... say what the files are, --columns what columns a text has",
            )
        if not pa.types.is_struct(piece.value.type):
            raise UsageError(f"the rows of {self.found[0].name or self.place.url} have no columns", hint="--format")
        names = [field.name for field in piece.value.type]
        _check_columns(names, asked, target)
        return asked.columns or names

    def pieces(self, settings: FilesSettings, size: int = _READ_BYTES) -> Iterator[Piece]:
        """All that the files hold. Raises ``ConnectorError``."""
        from ingest.sources.files.pieces import Unreadable
        from ingest.sources.files.place import Gone

        for found in self.found:
            name = self.place.describe(found.name)
            try:
                with contextlib.closing(self._opened(found, settings)) as reader:
                    while (piece := reader.read(size)) is not None:
                        yield piece
            except (Unreadable, Gone) as error:
                raise ConnectorError(f"{name} cannot be read: {error}", path=name) from None

    def _opened(self, found: Found, settings: FilesSettings) -> ObjectReader:
        from ingest.sources.files.readers import open_reader

        return open_reader(self.place.open(found.name), found.name or self.place.url, settings, {})


def files_settings(source: Mapping[str, Any]) -> FilesSettings:
    """For readers of one's own. Raises ``UsageError``: delimiters are the user's."""
    from pydantic import ValidationError

    from ingest.sources.files.settings import FilesSettings

    try:
        return FilesSettings.model_validate(dict(source))
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{where}: {first['msg']}", hint="see --columns and --input-...") from None


def _form_of(name: str) -> str:
    """A name that tells nothing is one of Sqoop's or Hive's text files, such as ``part-m-00000``."""
    from ingest.sources.files.readers import known_format

    form = known_format(name)
    return "text" if form in (None, "lines", "delimited") else str(form)


def _check_columns(names: list[str], asked: Asked, target: Target) -> None:
    missing = [name for name in asked.columns if name not in names]
    if missing:
        raise UsageError(f"the files have no column {missing[0]}", hint=f"they have {', '.join(names)}")
    strays = [name for name in asked.columns or names if not target.has(name)]
    if strays:
        raise UsageError(
            f"the files have a column {strays[0]}, and the table {asked.table} has none",
            hint=f"--columns names those that are to be written; the table has {', '.join(target.columns)}",
        )
    lost = [key for key in asked.update_key if target.named(key) not in map(target.named, asked.columns or names)]
    if lost:
        raise UsageError(f"the files have no column {lost[0]}, which is one of --update-key")
