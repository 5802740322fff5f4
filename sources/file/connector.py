"""The ``file`` source."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ingest.connectors import SourceConnector, SourceTask
from ingest.errors import ConnectorError
from ingest.sources.file.settings import FileSettings

__all__ = ["FileSettings", "FileSource"]


class FileSource(SourceConnector):
    """Log files, followed as they grow, rotate and are compressed: each line exactly once.

    A file is known by its content, not by its name: after a rotation, by renaming or by copying and
    truncating, reading goes on where it stopped, also inside a gzip, bz2 or zstd file, and also when all of
    that happened while nobody looked. Records carry the headers `ingest.file` and `ingest.host`. A last line
    without its end is held back; with `--until-caught-up` it is delivered if its file has not grown for a second.
    """

    Settings = FileSettings
    needs_topic = True

    def __init__(self, settings: FileSettings) -> None:
        self._settings = settings

    def check(self, base_folder: Path) -> None:
        from ingest.sources.file.discovery import Globs
        from ingest.sources.file.handles import Vanished, open_found

        discovered = Globs(self._settings.paths, self._settings.exclude, base_folder).discover()
        for path, reason in discovered.troubles.items():
            raise ConnectorError(f"{path} cannot be read: {reason}", path=path)
        for found in discovered.files.values():
            try:
                os.close(open_found(found))
            except Vanished:
                continue
            except OSError as error:
                raise ConnectorError(
                    f"{found.path} cannot be read: {error.strerror}", hint="allow it to be read, or exclude it"
                ) from None

    def tasks(self, most: int) -> Sequence[SourceTask]:
        from ingest.sources.file.task import FileTask

        return [FileTask(self._settings)]
