"""What was written since the last sync, in the order in which it must reach the disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ingest.environment import Environment
from ingest.log.log_file import LogFile


class Unsynced:
    """Open log files with appended bytes, derived files of closed segments, and whether names are new.

    The log files are held open here, so a roll or a deletion takes nothing away from the sync. The
    partition's lock guards it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[LogFile] = []
        self.paths: list[Path] = []
        self.names = False
        self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self.files or self.paths or self.names)

    def appended(self, file: LogFile, size_bytes: int) -> None:
        self.bytes += size_bytes
        if file not in self.files:
            self.files.append(file)

    def rolled(self, paths: Iterable[Path]) -> None:
        """A segment was closed (``paths`` are what was derived from it), a new one begun."""
        self.paths += paths
        self.names = True

    def take(self) -> Unsynced:
        """Everything so far, to be synced; this one starts over."""
        taken = Unsynced(self.folder)
        taken.__dict__, self.__dict__ = self.__dict__, taken.__dict__
        return taken

    def give_back(self, taken: Unsynced) -> None:
        """``taken`` was not synced after all."""
        self.files = [*taken.files, *(file for file in self.files if file not in taken.files)]
        self.paths = [*taken.paths, *self.paths]
        self.names |= taken.names
        self.bytes += taken.bytes

    def sync(self, env: Environment) -> None:
        """Data first, then what is derived from it, then the names. Raises ``OSError``."""
        env.fail.hit("log.sync.before")
        for file in self.files:
            file.sync(env.disk)
        env.fail.hit("log.sync.data")
        for path in self.paths:
            try:
                derived = LogFile.open(path)
            except FileNotFoundError:
                continue  # retention was faster
            env.disk.sync(derived.fd, path)
        if self.names:
            env.disk.sync_folder(self.folder)
        env.fail.hit("log.sync.done")
