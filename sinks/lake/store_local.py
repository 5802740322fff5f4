"""A folder on this machine: temporaries in the same folder, fsync, rename, fsync of the folder.

Every folder on the way is synced once after it may have been made, by this process or by one that was cut
off: a file in a folder whose own name is lost is lost too.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ingest.disk import Disk
from ingest.errors import ConfigError
from ingest.log.storage_failure import storage
from ingest.sinks.lake.manifest import StoredFile
from ingest.sinks.lake.names import LEDGERS, hidden_path, temporary_name
from ingest.sinks.lake.store import Draft, WalkedStore, is_published, missing

_NO_LINKS = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM}


class LocalDraft(Draft):
    """Bytes go straight to the temporary; the descriptor is closed by ``finish`` or ``discard``."""

    def __init__(self, path: str, temporary: str, full_path: Path, disk: Disk) -> None:
        super().__init__(path)
        self._temporary = temporary
        self._full_path = full_path
        self._disk = disk
        self._fd = _create(full_path)

    def _append(self, view: memoryview) -> None:
        with storage(self._full_path):
            while view:
                view = view[os.write(self._fd, view) :]

    def finish(self) -> StoredFile:
        with storage(self._full_path, "sync"):
            self._disk.sync(self._fd, self._full_path)
            self._close()
        return StoredFile(self.path, self.size_bytes, self.crc32c, temporary=self._temporary)

    def _remove(self) -> None:
        try:
            self._close()
        finally:
            self._disk.unlink(self._full_path)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class LocalStore(WalkedStore):
    """``root`` need not exist yet; of the folders above it those below ``base_folder`` may be its own.
    ``single_writer`` lets a file system without hard links do."""

    def __init__(self, root: Path, disk: Disk, *, base_folder: Path, single_writer: bool = False) -> None:
        self._root = root
        self._top = base_folder if base_folder in root.parents else root.parent
        self._disk = disk
        self._single_writer = single_writer
        self._settled: set[Path] = set()

    def describe(self, path: str = "") -> str:
        return str(self._full(path))

    def check(self) -> None:
        there = next(folder for folder in (self._root, *self._root.parents) if folder.exists())
        with storage(there, "write to"):
            if not there.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "it is not a folder", str(there))
            if not os.access(there, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "this user may not", str(there))

    def draft(self, path: str, writer: str) -> Draft:
        folder, _, name = path.rpartition("/")
        temporary = f"{folder}/{temporary_name(name, writer)}".lstrip("/")
        full_path = self._full(temporary)
        self._make_folder(full_path.parent)
        with storage(full_path):
            return LocalDraft(path, temporary, full_path, self._disk)

    def settle(self, files: Sequence[StoredFile]) -> None:
        self._sync_folders({self._full(file.temporary).parent for file in files})

    def publish(self, file: StoredFile) -> None:
        target = self._full(file.path)
        with storage(target, "rename to"):
            if is_published(self, file):
                return
            try:
                self._disk.replace(self._full(file.temporary), target)
            except FileNotFoundError:
                # another process that finishes the same commit may have been faster
                if not is_published(self, file):
                    raise missing(self, file) from None

    def settle_published(self, files: Sequence[StoredFile]) -> None:
        self._sync_folders({self._full(file.path).parent for file in files})

    def hide(self, path: str) -> None:
        with storage(self._full(path), "rename"), contextlib.suppress(FileNotFoundError):
            self._disk.replace(self._full(path), self._full(hidden_path(path)))

    def remove(self, paths: Sequence[str]) -> None:
        for path in paths:
            with storage(self._full(path), "remove"), contextlib.suppress(FileNotFoundError):
                self._disk.unlink(self._full(path))

    def put_if_absent(self, path: str, content: bytes, writer: str) -> bool:
        target = self._full(path)
        beside = self._full(f"{target.parent.parent.relative_to(self._root)}/{temporary_name(target.name, writer)}")
        self._make_folder(target.parent)
        with storage(target):
            self._write_durably(beside, content)
            try:
                absent = self._link(beside, target)
                if absent:
                    self._sync_folders({target.parent})
            finally:
                with contextlib.suppress(FileNotFoundError):
                    self._disk.unlink(beside)
        return absent

    def settle_folder(self, folder: str) -> None:
        if self._is_folder(self._full(folder)):
            self._sync_folders({self._full(folder)})

    def read(self, path: str) -> bytes | None:
        with storage(self._full(path), "read"):
            try:
                return self._full(path).read_bytes()
            except FileNotFoundError:
                return None

    def names(self, folder: str) -> list[str]:
        with storage(self._full(folder), "list"):
            try:
                return sorted(os.listdir(self._full(folder)))
            except FileNotFoundError:
                return []

    def size_bytes(self, path: str) -> int | None:
        with storage(self._full(path), "look at"):
            try:
                return self._full(path).stat().st_size
            except FileNotFoundError:
                return None

    def filesystem(self) -> tuple[Any, str]:
        from pyarrow.fs import LocalFileSystem

        return LocalFileSystem(), str(self._root)

    def _full(self, path: str) -> Path:
        return self._root / path

    def _walk(self) -> Iterator[str]:
        """All files but manifests, without following links out of the table."""
        for folder, folders, names in os.walk(self._root):
            if folder == str(self._root) and LEDGERS in folders:
                folders.remove(LEDGERS)
            below = os.path.relpath(folder, self._root)
            yield from names if below == "." else (f"{below}/{name}" for name in names)

    def _make_folder(self, folder: Path) -> None:
        """Makes what is missing; above the table each folder's name is durable before it is used."""
        if folder in self._settled or self._is_folder(folder):
            return
        with storage(folder, "make the folder"):
            missing_above = [path for path in (self._root, *self._root.parents) if not path.exists()]
            for path in reversed(missing_above):
                path.mkdir(exist_ok=True)
                self._disk.sync_folder(path.parent)
            folder.mkdir(parents=True, exist_ok=True)

    def _is_folder(self, path: Path) -> bool:
        with storage(path, "look at"):
            return path.is_dir()

    def _sync_folders(self, folders: set[Path]) -> None:
        for folder in sorted(folders):
            with storage(folder, "sync the folder"):
                self._disk.sync_folder(folder)
                self._settle_name(folder)

    def _settle_name(self, folder: Path) -> None:
        """The folder's own name, and those above it as far as this table, or a run that was cut off, made them."""
        for child in (folder, *folder.parents):
            if child in self._settled or child == self._top:
                return
            self._disk.sync_folder(child.parent)
            self._settled.add(child)

    def _write_durably(self, path: Path, content: bytes) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(fd, view) :]
            self._disk.sync(fd, path)
        finally:
            os.close(fd)

    def _link(self, beside: Path, target: Path) -> bool:
        try:
            self._disk.link(beside, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return self._rename_if_absent(beside, target, error)
        return True

    def _rename_if_absent(self, beside: Path, target: Path, error: OSError) -> bool:
        if not self._single_writer:
            raise ConfigError(
                f"the file system of {self._root} has no hard links, by which two writers would notice each other",
                hint="set single_writer: true if no other process ever writes to this table",
                setting="single_writer",
            ) from error
        if target.exists():
            return False
        self._disk.replace(beside, target)
        return True


def _create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o644)
    except FileNotFoundError:
        # someone tidied up an empty folder in between
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o644)
