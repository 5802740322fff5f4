"""Which files the globs name right now."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_MAGIC = re.compile(r"[*?\[]")
_LEDGERS = "_ingest"
_OURS = {
    "meta.properties": "the data of a hub",
    "partition.metadata": "the data of a hub",
    _LEDGERS: "a table that a sink writes",
}
"""What a folder holds that is no input: a wildcard that took it in would feed a pipeline its own output."""


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file under one of its names."""

    path: str
    device: int
    inode: int
    size: int
    mtime_ns: int

    @property
    def key(self) -> tuple[int, int]:
        return self.device, self.inode


@dataclass(slots=True)
class Discovered:
    """``files`` by device and inode: each once, whatever its names. By path, one phrase each: ``troubles`` keep
    from reading what was asked for, ``ignored`` is what a glob matches but no file source reads."""

    files: dict[tuple[int, int], Found] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    matchless: list[str] = field(default_factory=list)
    """Absolute patterns that no file matches."""


class Globs:
    """Paths and exclusions of a source. Folders are read anew on each call; links to folders are followed,
    each folder once, so a loop of links ends.

    Wildcards do not enter the folders of hubs and of sinks' tables; only a path that names one does.
    """

    def __init__(self, paths: Sequence[str], exclude: Sequence[str], base_folder: Path) -> None:
        self._patterns = [_absolute(path, base_folder) for path in paths]
        self._excluded = [_exclusion(pattern, base_folder) for pattern in exclude]

    @property
    def roots(self) -> dict[str, bool]:
        """Folders that hold all that can match, and whether what lies below them matters, too."""
        roots: dict[str, bool] = {}
        for pattern in self._patterns:
            root, deep = _root(pattern)
            roots[root] = roots.get(root, False) or deep
        return roots

    def discover(self) -> Discovered:
        """All matching files. Never raises for what it finds: that is told in ``troubles``."""
        discovered = Discovered()
        for pattern in self._patterns:
            literal = not _MAGIC.search(pattern)
            parts = Path(pattern).parts
            matched = False
            for path in _Walk(discovered, _root(pattern)[0]).expand(parts[0], parts[1:]):
                if not self._is_excluded(path):
                    matched = _look(path, discovered, literal) or matched
            if not matched:
                discovered.matchless.append(pattern)
        return discovered

    def _is_excluded(self, path: str) -> bool:
        return any(
            pattern.match(path if whole else os.path.basename(path)) is not None for pattern, whole in self._excluded
        )


def _absolute(path: str, base_folder: Path) -> str:
    return os.path.normpath(os.path.join(os.path.abspath(base_folder), os.path.expanduser(path)))


def _root(pattern: str) -> tuple[str, bool]:
    """The folder that is named without a wildcard, and whether more than its own entries can match."""
    parts = Path(pattern).parts
    fixed = next((place for place, part in enumerate(parts) if _MAGIC.search(part)), len(parts) - 1)
    return str(Path(*parts[:fixed])), len(parts) - fixed > 1


def _exclusion(pattern: str, base_folder: Path) -> tuple[re.Pattern[str], bool]:
    whole = "/" in pattern
    text = _absolute(pattern, base_folder) if whole and not pattern.startswith("*") else pattern
    return re.compile(fnmatch.translate(text)), whole


def _look(path: str, discovered: Discovered, literal: bool) -> bool:
    """Takes up what is at ``path``; false if there is nothing, or nothing that a source reads."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        discovered.troubles[path] = error.strerror or str(error)
        return True
    if not stat.S_ISREG(status.st_mode):
        if literal:
            folder = stat.S_ISDIR(status.st_mode)
            discovered.troubles[path] = "it is a folder; name its files" if folder else "it is not a regular file"
            return True
        if not stat.S_ISDIR(status.st_mode):
            discovered.ignored[path] = "it is not a regular file"
        return False
    found = Found(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    known = discovered.files.get(found.key)
    if known is None or _rank(path) < _rank(known.path):
        discovered.files[found.key] = found
    return True


def _rank(path: str) -> tuple[bool, str]:
    return os.path.islink(path), path


class _Walk:
    """The expansion of one pattern."""

    def __init__(self, discovered: Discovered, root: str) -> None:
        self._discovered = discovered
        self._root = root
        self._visited: set[tuple[int, int, int]] = set()

    def expand(self, folder: str, parts: tuple[str, ...]) -> Iterator[str]:
        part, rest = parts[0], parts[1:]
        if part == "**":
            yield from self._below(folder, rest or ("*",))
        elif _MAGIC.search(part):
            matches = re.compile(fnmatch.translate(part)).match
            hidden = part.startswith(".")
            for entry in self._entries(folder):
                if matches(entry.name) and (hidden or not entry.name.startswith(".")):
                    yield from self._descend(entry.path, rest)
        else:
            yield from self._descend(os.path.join(folder, part), rest)

    def _descend(self, path: str, rest: tuple[str, ...]) -> Iterator[str]:
        if rest:
            yield from self.expand(path, rest)
        else:
            yield path

    def _below(self, folder: str, rest: tuple[str, ...]) -> Iterator[str]:
        """Real folders first: a file shows under its own name rather than a link's, for exclusions go by name."""
        folders, links = [folder], deque[str]()
        while folders or links:
            here = folders.pop() if folders else links.popleft()
            if not self._is_new(here, len(rest)):
                continue
            yield from self.expand(here, rest)
            for entry in self._entries(here):
                # Whether a link leads to a folder at all, `_is_new` finds out.
                if not entry.name.startswith(".") and (entry.is_symlink() or entry.is_dir()):
                    (links if entry.is_symlink() else folders).append(entry.path)

    def _is_new(self, folder: str, depth: int) -> bool:
        try:
            status = os.stat(folder)
        except OSError:
            return False
        key = (status.st_dev, status.st_ino, depth)
        if key in self._visited or not stat.S_ISDIR(status.st_mode):
            return False
        self._visited.add(key)
        return True

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._discovered.troubles[folder] = error.strerror or str(error)
            return []
        kind = next((_OURS[entry.name] for entry in found if entry.name in _OURS), None)
        if kind is not None and folder != self._root:
            self._discovered.ignored[folder] = f"it holds {kind}; to read it all the same, name it without a wildcard"
            return []
        return found if kind is None else [entry for entry in found if entry.name != _LEDGERS]
