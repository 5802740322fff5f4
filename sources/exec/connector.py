"""The ``exec`` source."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from ingest.connectors import SourceConnector, SourceTask
from ingest.errors import ConnectorError
from ingest.sources.exec.settings import ExecSettings
from ingest.sources.exec.task import ExecTask, Running

__all__ = ["ExecSettings", "ExecSource"]


class ExecSource(SourceConnector):
    """What a command writes to its standard output: each line a record. Its standard error goes to the log.

    A command has no position: lines that were on their way when this side is killed are lost, and one that begins
    anew at each start (`cat`, `curl`) delivers everything again. Use the `file` source for files, and this one for
    what only a command can tell.
    """

    Settings = ExecSettings
    needs_topic = True

    def __init__(self, settings: ExecSettings) -> None:
        self._settings = settings
        self._running = Running(settings)

    def check(self, base_folder: Path) -> None:
        command, folder = self._settings.command, base_folder / self._settings.folder
        if not folder.is_dir():
            raise ConnectorError(f"{folder} is no folder", path=str(folder))
        if not isinstance(command, str) and shutil.which(command[0]) is None and not (folder / command[0]).exists():
            raise ConnectorError(f"there is no program {command[0]}", hint="give its full path")

    def tasks(self, most: int) -> Sequence[SourceTask]:
        return [ExecTask(self._settings, self._running)]
