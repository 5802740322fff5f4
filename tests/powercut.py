"""A disk that can lose its power, within one process: what was not synced is gone, names included.

``PowerCutDisk`` works on real files and notes, at each sync, what is on disk from then on. ``cut`` puts the folder
back into that state. With ``spare``, some of what was not synced reaches the disk all the same: of each folder's
renames and removals the first few (a file system journals them in order, each as a whole; one that is not
``ordered`` keeps any of them), of each file and of each new name it is drawn for. Whole programs that are killed
use ``journal_disk`` instead.
"""

from __future__ import annotations

import os
import random
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

from ingest.disk import SystemDisk


@dataclass
class _Inode:
    """Held open, so that its number is not given to another file."""

    fd: int
    durable: bytes = b""

    def content(self) -> bytes:
        with open(f"/proc/self/fd/{self.fd}", "rb") as again:
            return again.read()


@dataclass
class _Folder:
    """The names on disk (None is a folder), and what was done to them since: old name, inode, new name."""

    names: dict[str, int | None] = field(default_factory=dict)
    done: list[tuple[str, int, str | None]] = field(default_factory=list)


@dataclass
class PowerCutDisk(SystemDisk):
    """All that lies under ``root`` when it is made is on disk. ``spare`` is the chance of what was not synced."""

    root: Path
    spare: float = 0.0
    ordered: bool = True
    random: random.Random = field(default_factory=lambda: random.Random(1))

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._inodes: dict[int, _Inode] = {}
        self._folders: dict[Path, _Folder] = {}
        self._begin()

    def sync(self, fd: int, path: Path) -> None:
        super().sync(fd, path)
        with self._lock:
            inode = self._know(f"/proc/self/fd/{fd}")
            self._inodes[inode].durable = self._inodes[inode].content()

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        with self._lock:
            self._note(path)

    def replace(self, source: Path, target: Path) -> None:
        with self._lock:
            if target.exists():
                self._know(target)
            inode = self._know(source)
            super().replace(source, target)
            self._folders.setdefault(source.parent, _Folder()).done.append((source.name, inode, target.name))

    def unlink(self, path: Path) -> None:
        with self._lock:
            inode = self._know(path) if path.exists() else -1
            super().unlink(path)
            self._folders.setdefault(path.parent, _Folder()).done.append((path.name, inode, None))

    def cut(self) -> None:
        """The power goes and comes back. Nobody may use the files meanwhile."""
        with self._lock:
            self._restore(self.root)
            for inode in self._inodes.values():
                os.close(inode.fd)
            self._begin()

    def __del__(self) -> None:
        for inode in self._inodes.values():
            os.close(inode.fd)

    def _begin(self) -> None:
        self._inodes.clear()
        self._folders.clear()
        for folder, _, files in os.walk(self.root):
            self._note(Path(folder))
            for name in files:
                found = self._inodes[self._know(Path(folder, name))]
                found.durable = found.content()

    def _note(self, folder: Path) -> None:
        names = {path.name: None if path.is_dir() else self._know(path) for path in folder.iterdir()}
        self._folders[folder] = _Folder(names)

    def _know(self, path: Path | str) -> int:
        number = os.stat(path).st_ino
        if number not in self._inodes:
            self._inodes[number] = _Inode(os.open(path, os.O_RDONLY))
        return number

    def _lucky(self) -> bool:
        return self.random.random() < self.spare

    def _restore(self, folder: Path) -> None:
        wanted = self._names_after_cut(folder)
        contents = {name: self._content(number) for name, number in wanted.items() if number is not None}
        for path in folder.iterdir():
            if path.name not in wanted:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name, number in wanted.items():
            path = folder / name
            if number is None:
                path.mkdir(exist_ok=True)
                self._restore(path)
            else:
                times = os.fstat(self._inodes[number].fd)
                path.unlink(missing_ok=True)
                path.write_bytes(contents[name])
                os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def _names_after_cut(self, folder: Path) -> dict[str, int | None]:
        known = self._folders.get(folder, _Folder())
        names = dict(known.names)
        some = self.random.randint(0, len(known.done)) if 0 < self.spare < 1 else len(known.done) * round(self.spare)
        moved = {inode for _, inode, _ in known.done}
        for number, (old, inode, new) in enumerate(known.done):
            if not (number < some if self.ordered else self._lucky()):
                continue
            names.pop(old, None)
            if new is not None:
                names[new] = inode
        for path in folder.iterdir():
            fresh = path.name not in names and (path.is_dir() or self._know(path) not in moved)
            if fresh and self._lucky():
                names[path.name] = None if path.is_dir() else self._know(path)
        return names

    def _content(self, number: int) -> bytes:
        found = self._inodes[number]
        return found.content() if self._lucky() else found.durable
