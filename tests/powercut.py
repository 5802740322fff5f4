"""A disk that can lose its power: what was not synced is gone, names included.

``PowerCutDisk`` works on real files and notes, at each sync, what is on disk from then on. ``cut`` puts the
folder back into that state. Everything else (writes, new files, renames, removals) happened in memory only.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
import threading
from dataclasses import dataclass, field
from pathlib import Path

from ingest.disk import SystemDisk


@dataclass
class _File:
    """One inode; held open so that its number is not given to another file."""

    fd: int
    durable: bytes = b""


@dataclass
class PowerCutDisk(SystemDisk):
    """All that lies under ``root`` when it is made is on disk. ``spare`` is the chance that an unsynced thing
    reaches the disk all the same, as it may: each file's bytes and each folder's names are drawn for."""

    root: Path
    spare: float = 0.0
    random: random.Random = field(default_factory=lambda: random.Random(1))

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[int, _File] = {}
        self._names: dict[Path, dict[str, int | None]] = {}
        self._note_tree(self.root)

    def sync(self, fd: int, path: Path) -> None:
        super().sync(fd, path)
        with self._lock:
            self._know(path if path.exists() else Path(f"/proc/self/fd/{fd}")).durable = _content(fd)

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        with self._lock:
            self._note_folder(path)

    def cut(self) -> None:
        """The power goes and comes back. Nobody may use the files meanwhile."""
        with self._lock:
            self._restore(self.root)
            for file in self._files.values():
                os.close(file.fd)
            self._files.clear()
            self._names.clear()
            self._note_tree(self.root)

    def _lucky(self) -> bool:
        return self.random.random() < self.spare

    def _note_tree(self, folder: Path) -> None:
        self._note_folder(folder)
        for path in folder.iterdir():
            if path.is_dir():
                self._note_tree(path)
            else:
                self._know(path).durable = path.read_bytes()

    def _note_folder(self, folder: Path) -> None:
        names: dict[str, int | None] = {}
        for path in folder.iterdir():
            if path.is_dir():
                names[path.name] = None
                self._names.setdefault(path, {})
            else:
                self._know(path)
                names[path.name] = path.stat().st_ino
        self._names[folder] = names

    def _know(self, path: Path) -> _File:
        inode = os.stat(path).st_ino
        if inode not in self._files:
            self._files[inode] = _File(os.open(path, os.O_RDONLY))
        return self._files[inode]

    def _restore(self, folder: Path) -> None:
        names = self._names.get(folder, {})
        for path in folder.iterdir():
            if path.name in names or self._lucky():
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name, inode in names.items():
            path = folder / name
            if inode is None:
                path.mkdir(exist_ok=True)
                self._restore(path)
            elif path.exists() and path.stat().st_ino == inode:
                if not self._lucky():
                    _put(path, self._files[inode].durable)
            elif not self._lucky():
                path.unlink(missing_ok=True)
                _put(path, self._files[inode].durable)
        for path in folder.iterdir():
            if path.name not in names and path.is_file() and not self._lucky():
                known = self._files.get(path.stat().st_ino)
                _put(path, known.durable if known else b"")


def _content(fd: int) -> bytes:
    assert stat.S_ISREG(os.fstat(fd).st_mode)
    parts, at = [], 0
    with open(f"/proc/self/fd/{fd}", "rb") as again:
        while part := os.pread(again.fileno(), 1 << 20, at):
            parts.append(part)
            at += len(part)
    return b"".join(parts)


def _put(path: Path, content: bytes) -> None:
    if not path.exists() or path.read_bytes() != content:
        times = path.stat() if path.exists() else None
        path.write_bytes(content)
        if times is not None:
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
