"""Puts spool files away, once the hub has all of them on disk.

Safe at every step: a file that is put away twice, because a crash came in between, is found to be gone or
to be there under both names. Nothing is ever overwritten.
"""

from __future__ import annotations

import errno
import filecmp
import glob
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from ingest.disk import Disk
from ingest.failpoints import FailPoints
from ingest.sources.file.settings import Spool


class Spooler:
    """Carries out ``after`` of the ``spool`` setting."""

    def __init__(self, spool: Spool, base_folder: Path, disk: Disk, fail: FailPoints) -> None:
        self._spool = spool
        self._disk = disk
        self._fail = fail
        self._folder = base_folder / Path(spool.to).expanduser() if spool.to is not None else None

    def exclusions(self) -> Sequence[str]:
        """Globs of what was put away, never to be read again."""
        if self._spool.after == "rename":
            suffix = glob.escape(self._spool.suffix)
            return [f"*{suffix}", f"*{suffix}.[0-9]*"]
        return [f"{glob.escape(str(self._folder))}/*"] if self._folder is not None else []

    def put_away(self, path: Path) -> None:
        """Durable on return. Raises ``OSError``; may be tried again."""
        self._fail.hit("file.spool.put_away")
        if self._spool.after == "delete":
            self._disk.unlink(path)
        elif self._folder is None:
            self._give_name(path, path.parent / (path.name + self._spool.suffix))
        else:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._give_name(path, self._folder / path.name)
            self._disk.sync_folder(self._folder)
        self._disk.sync_folder(path.parent)

    def _give_name(self, path: Path, wanted: Path) -> None:
        number = 0
        target = wanted
        while not self._take(path, target):
            number += 1
            target = wanted.with_name(f"{wanted.name}.{number}")
        self._fail.hit("file.spool.named")
        self._disk.unlink(path)

    def _take(self, path: Path, target: Path) -> bool:
        """Gives the file its new name beside the old; false if another file has it."""
        try:
            self._disk.link(path, target)
        except FileExistsError:
            return target.exists() and os.path.samefile(path, target)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS):
                raise
            return self._copy(path, target)
        return True

    def _copy(self, path: Path, target: Path) -> bool:
        """Where no link can be made (another file system): a durable copy, there whole or not at all."""
        if target.exists():
            return filecmp.cmp(path, target, shallow=False)
        partial = target.with_name(f".{target.name}.partial")
        shutil.copy2(path, partial)
        with partial.open("rb+") as copied:
            self._disk.sync(copied.fileno(), partial)
        self._disk.replace(partial, target)
        return True
