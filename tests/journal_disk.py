"""A power cut for whole processes: a journal of what was synced, and the cut that follows from it.

The program under test runs on a ``JournalDisk``, which appends one JSON line per durable operation to a file
outside of the folders under test. The test kills the program with ``kill -9`` (which keeps the page cache),
then calls ``apply_power_cut``: whatever the journal does not prove to be on disk is taken back, or left, or
left in part, as the dice fall; names come back as a prefix of each folder's operations since its last sync.

    disk = JournalDisk(journal, [data, lake])          in the program; or, for the command line,
    python tests/journal_disk.py JOURNAL DATA LAKE -- run pipeline.yaml
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.disk import SystemDisk


class JournalDisk(SystemDisk):
    """Notes each operation after it was done (a sync that is not noted was not one), removals before."""

    def __init__(self, journal: Path, roots: Iterable[Path] = ()) -> None:
        """A new journal begins with all that ``roots`` hold: that is on disk. It appears whole or not at all."""
        self._graves = graveyard(journal)
        self._graves.mkdir(exist_ok=True)
        self._lock = threading.RLock()
        begins = not journal.exists()
        written = journal.with_name(journal.name + ".begins") if begins else journal
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(written, flags | (os.O_TRUNC if begins else 0))
        if begins:
            self.note_all(roots)
            os.replace(written, journal)

    def note_all(self, roots: Iterable[Path]) -> None:
        """Everything under ``roots`` is on disk."""
        for root in roots:
            for folder, _, files in os.walk(root):
                for name in files:
                    found = os.stat(os.path.join(folder, name))
                    self._note(op="sync", inode=found.st_ino, size=found.st_size)
                self._note_names(Path(folder))

    def sync(self, fd: int, path: Path) -> None:
        size = os.fstat(fd).st_size  # what is written during the sync may not be in it
        super().sync(fd, path)
        self._note(op="sync", inode=os.fstat(fd).st_ino, size=size, path=str(path))

    def sync_folder(self, path: Path) -> None:
        with self._lock:
            names = _names(path)
            super().sync_folder(path)
            self._note(op="names", path=str(path.absolute()), names=names)

    def replace(self, source: Path, target: Path) -> None:
        with self._lock:
            self._bury(target)
            inode = os.stat(source).st_ino
            super().replace(source, target)
            self._note(op="remove", path=str(source.absolute()))
            self._note(op="put", path=str(target.absolute()), inode=inode)

    def link(self, source: Path, target: Path) -> None:
        with self._lock:
            super().link(source, target)
            self._note(op="put", path=str(target.absolute()), inode=os.stat(target).st_ino)

    def unlink(self, path: Path) -> None:
        with self._lock:
            self._bury(path)
            super().unlink(path)
            self._note(op="remove", path=str(path.absolute()))

    def truncate(self, fd: int, path: Path, size_bytes: int) -> None:
        with self._lock:
            found = os.fstat(fd)
            if size_bytes < found.st_size:
                grave = self._graves / f"tail-{found.st_ino}-{len(os.listdir(self._graves))}"
                with open(f"/proc/self/fd/{fd}", "rb") as old:
                    old.seek(size_bytes)
                    grave.write_bytes(old.read())
                self._note(op="tail", inode=found.st_ino, size=size_bytes, grave=str(grave))
            super().truncate(fd, path, size_bytes)

    def _bury(self, path: Path) -> None:
        """Keeps the inode of a file that loses its name."""
        with suppress(FileNotFoundError, FileExistsError):
            os.link(path, self._graves / str(os.stat(path).st_ino))

    def _note_names(self, path: Path) -> None:
        self._note(op="names", path=str(path.absolute()), names=_names(path))

    def _note(self, **event: Any) -> None:
        os.write(self._fd, (json.dumps(event) + "\n").encode())


def graveyard(journal: Path) -> Path:
    """Where files are kept that have lost their names; on the same file system as the journal."""
    return journal.with_name(journal.name + ".graves")


@dataclass
class _State:
    """What the journal proves, and what happened since."""

    sizes: dict[int, int] = field(default_factory=dict)
    tails: dict[int, tuple[int, str]] = field(default_factory=dict)
    names: dict[str, dict[str, int]] = field(default_factory=dict)
    later: dict[str, list[tuple[str, int | None]]] = field(default_factory=dict)

    @classmethod
    def read(cls, journal: Path) -> _State:
        state = cls()
        for event in _events(journal):
            state.take(event)
        return state

    def take(self, event: dict[str, Any]) -> None:
        if event["op"] == "sync":
            self.sizes[event["inode"]] = event["size"]
            self.tails.pop(event["inode"], None)
        elif event["op"] == "tail":
            self.tails.setdefault(event["inode"], (event["size"], event["grave"]))
        elif event["op"] == "names":
            self.names[event["path"]] = event["names"]
            self.later[event["path"]] = []
        else:
            folder, name = os.path.split(event["path"])
            self.later.setdefault(folder, []).append((name, event.get("inode")))


def apply_power_cut(roots: Sequence[Path], journal: Path, dice: random.Random, *, spare: float = 0.5) -> None:
    """Nobody may use the files meanwhile. ``spare`` is the chance of each unsynced thing to survive.

    The journal then begins again: what is left is on disk. Where there is none, the program was killed before it had
    a disk, and there is nothing to take back.
    """
    if not journal.exists():
        JournalDisk(journal, roots)
        return
    state, inodes = _State.read(journal), _inodes([*roots, graveyard(journal)])
    keep = journal.with_name(journal.name + ".keep")
    keep.mkdir()
    for inode, path in inodes.items():
        os.link(path, keep / str(inode))
    for root in roots:
        _restore_names(root.absolute(), state, keep, dice, spare)
    for path in _files(roots):
        _restore_bytes(path, state, dice, spare)
    shutil.rmtree(keep)
    shutil.rmtree(graveyard(journal))
    journal.unlink()
    JournalDisk(journal, roots)


def _restore_names(folder: Path, state: _State, keep: Path, dice: random.Random, spare: float) -> None:
    wanted = dict(state.names.get(str(folder), {}))
    later = state.later.get(str(folder), [])
    survived = dice.randint(0, len(later)) if dice.random() < spare else 0
    for name, inode in later[:survived]:
        if inode is None:
            wanted.pop(name, None)
        else:
            wanted[name] = inode
    touched = {name for name, _ in later}
    for path in list(folder.iterdir()):
        if path.name in wanted and (path.is_dir() or path.stat().st_ino == wanted[path.name]):
            continue
        if path.name not in wanted and path.name not in touched and dice.random() < spare:
            continue  # a new file whose name reached the disk all the same
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, inode in wanted.items():
        if not (folder / name).exists() and (keep / str(inode)).exists():
            os.link(keep / str(inode), folder / name)
    for path in folder.iterdir():
        if path.is_dir():
            _restore_names(path, state, keep, dice, spare)


def _restore_bytes(path: Path, state: _State, dice: random.Random, spare: float) -> None:
    inode, size = path.stat().st_ino, path.stat().st_size
    if inode in state.tails and dice.random() >= spare:
        start, grave = state.tails[inode]  # the cut itself did not reach the disk
        with path.open("r+b") as file:
            file.seek(start)
            file.write(Path(grave).read_bytes())
        size = path.stat().st_size
    durable = min(size, state.sizes.get(inode, 0))
    left = durable + (dice.randint(0, size - durable) if dice.random() < spare else 0)
    with path.open("r+b") as file:
        file.truncate(left)
        if left > durable and dice.random() < 0.5:
            # The length reached the disk, the bytes in the middle did not.
            hole = dice.randint(durable, left)
            file.seek(hole)
            file.write(bytes(dice.randint(0, left - hole)))


def _events(journal: Path) -> Iterator[dict[str, Any]]:
    for line in journal.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):  # the kill may have come in the middle of the last line
            yield json.loads(line)


def _names(folder: Path) -> dict[str, int]:
    return {entry.name: entry.inode() for entry in os.scandir(folder)}


def _files(roots: Iterable[Path]) -> list[Path]:
    return [Path(folder) / name for root in roots for folder, _, names in os.walk(root) for name in names]


def _inodes(roots: Iterable[Path]) -> dict[int, Path]:
    return {path.stat().st_ino: path for path in _files(roots) if not path.name.startswith("tail-")}


def install(disk: JournalDisk) -> None:
    """Every ``Environment`` of this process that is made from now on uses ``disk``."""
    for name in ("sync", "sync_folder", "replace", "link", "unlink", "truncate"):
        setattr(SystemDisk, name, _redirected(disk, name))


def _redirected(disk: JournalDisk, name: str) -> Any:
    noted, plain = getattr(disk, name), SystemDisk.__dict__[name]

    def call(self: SystemDisk, *arguments: Any) -> Any:
        return plain(self, *arguments) if self is disk else noted(*arguments)

    return call


def main() -> None:
    arguments, command = sys.argv[1:], []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, command = arguments[:at], arguments[at + 1 :]
    journal, *roots = map(Path, arguments)
    for root in roots:
        root.mkdir(parents=True, exist_ok=True)
    install(JournalDisk(journal, roots))
    sys.argv = ["ingest", *command]
    from ingest.cli.main import entry

    entry()


if __name__ == "__main__":
    main()
