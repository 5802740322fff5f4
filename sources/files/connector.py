"""The source ``files``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from ingest.config import Settings
from ingest.connectors import SourceConnector, SourceTask
from ingest.errors import ConnectorError
from ingest.sources.files.settings import FilesSettings


class FilesSource(SourceConnector):
    """New objects under a folder or bucket (CSV, JSON lines, plain lines, Parquet, Avro): each row exactly once.

    An object is read from its beginning to its end, once; it is known by its name and its version. For files that
    grow, such as logs, there is the source `file`. Records carry the header `ingest.file`.
    """

    Settings: ClassVar[type[Settings]] = FilesSettings
    needs_topic = True

    def __init__(self, settings: FilesSettings) -> None:
        self._settings = settings

    def check(self, base_folder: Path) -> None:
        from ingest.sources.files.place import Gone, Place

        place = Place(self._settings.url, base_folder, self._settings.storage_options)
        troubles: dict[str, str] = {}
        try:
            next(place.walk(troubles), None)
        except Gone:
            raise ConnectorError(f"{place.url} is not there", hint="make it, or correct the url") from None
        for folder, reason in troubles.items():
            raise ConnectorError(f"{folder} cannot be read: {reason}", path=folder)

    def tasks(self, most: int) -> Sequence[SourceTask]:
        from ingest.sources.files.task import FilesTask

        return [FilesTask(self._settings)]
