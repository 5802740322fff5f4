"""What a table's place must be able to do, whatever it is: a folder, a bucket, a cluster.

Paths are relative to the table's root, with ``/``. A store is used by one thread. What the system refuses is
raised as ``StorageFailed`` or ``SystemUnavailable``, with the path.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import crc32c

from ingest.errors import OutputDamaged
from ingest.sinks.lake.manifest import StoredFile
from ingest.sinks.lake.names import is_data, is_temporary_of, ledger_folder


class Draft(ABC):
    """A file being written that no reader sees; a Python file object as far as pyarrow needs one."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.size_bytes = 0
        self.closed = False
        self._crc = 0
        self._discarded = False

    @property
    def crc32c(self) -> str:
        """The checksum of all bytes so far, in hex."""
        return f"{self._crc:08x}"

    @property
    def held_bytes(self) -> int:
        """Bytes that the draft itself keeps in memory."""
        return 0

    def write(self, data: Any) -> int:
        """Appends all of ``data``; what a writer still has to say after ``discard`` goes nowhere."""
        view = memoryview(data).cast("B")
        if self._discarded:
            return len(view)
        self._append(view)
        self._crc = crc32c.crc32c(view, self._crc)
        self.size_bytes += len(view)
        return len(view)

    def tell(self) -> int:
        return self.size_bytes

    def flush(self) -> None:
        return

    def close(self) -> None:
        """pyarrow's word that the content is complete; durability is ``finish``'s."""
        self.closed = True

    @abstractmethod
    def _append(self, view: memoryview) -> None: ...

    @abstractmethod
    def finish(self) -> StoredFile:
        """The content is complete. After ``settle`` it is durable, on most stores before."""

    def discard(self) -> None:
        """Removes what was written. Harmless if it is gone; raises nothing."""
        self._discarded = True
        with contextlib.suppress(Exception):
            self._remove()

    @abstractmethod
    def _remove(self) -> None: ...


class Store(ABC):
    """The root of a table. See the module."""

    @abstractmethod
    def describe(self, path: str = "") -> str:
        """The full path or URL, for messages and programs."""

    @abstractmethod
    def check(self) -> None:
        """Raises an error with a hint if the place cannot be written to; changes nothing."""

    @abstractmethod
    def draft(self, path: str, writer: str) -> Draft:
        """A new file that will be ``path``; the temporary's name holds ``writer``."""

    @abstractmethod
    def settle(self, files: Sequence[StoredFile]) -> None:
        """On return finished drafts survive a power cut under their temporary names. Called before the
        manifest that lists them is put."""

    @abstractmethod
    def publish(self, file: StoredFile) -> None:
        """Makes a stored file visible under its path, whole or not at all. To be called again after a crash:
        does nothing if it is published. Raises ``OutputDamaged`` if it is neither there nor to be made."""

    @abstractmethod
    def settle_published(self, files: Sequence[StoredFile]) -> None:
        """On return what ``publish`` and ``hide`` did at these paths survives a power cut."""

    @abstractmethod
    def hide(self, path: str) -> None:
        """Moves the visible file at ``path``, if there is one, to its ``hidden_path``. To be called again after
        a crash; ``settle_published`` makes it durable. At no time is the content nowhere."""

    @abstractmethod
    def remove(self, paths: Sequence[str]) -> None:
        """Removes files; what is gone already is no error."""

    @abstractmethod
    def put_if_absent(self, path: str, content: bytes, writer: str) -> bool:
        """Durable, whole, and only if nothing is at ``path``: false if something is."""

    @abstractmethod
    def settle_folder(self, folder: str) -> None:
        """On return the names that ``names`` shows survive a power cut."""

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """The content; None if there is no such file."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """The names in a folder, sorted; empty if there is no folder."""

    @abstractmethod
    def size_bytes(self, path: str) -> int | None:
        """The size of a visible file; None if there is none."""

    @abstractmethod
    def data_files(self) -> Iterator[str]:
        """The paths of all visible files that end as data files do, in any order."""

    @abstractmethod
    def strays(self, owner: str) -> list[Any]:
        """The temporaries (or uploads) of the sink ``owner`` that are there now."""

    @abstractmethod
    def remove_strays(self, strays: Sequence[Any]) -> None:
        """Removes some of what ``strays`` returned. What is gone already is no error."""

    @abstractmethod
    def filesystem(self) -> tuple[Any, str]:
        """For readers: a file system that pyarrow takes, and the root's path in it."""


class WalkedStore(Store):
    """A store that can list its files, temporaries among them, which differ by name from what is visible."""

    @abstractmethod
    def _walk(self) -> Iterator[str]:
        """The paths of all files but manifests, in any order."""

    def data_files(self) -> Iterator[str]:
        return (path for path in self._walk() if is_data(path))

    def strays(self, owner: str) -> list[Any]:
        found = [path for path in self._walk() if is_temporary_of(owner, path.rpartition("/")[2])]
        folder = ledger_folder(owner)
        return found + [f"{folder}/{name}" for name in self.names(folder) if name.endswith(".tmp")]

    def remove_strays(self, strays: Sequence[Any]) -> None:
        self.remove(strays)


def is_published(store: Store, file: StoredFile) -> bool:
    """Whether the file stands at its path; raises ``OutputDamaged`` if what stands there has another size."""
    size = store.size_bytes(file.path)
    if size is None:
        return False
    if size != file.size_bytes:
        raise OutputDamaged(
            f"{store.describe(file.path)} has {size} bytes, and its manifest says {file.size_bytes}",
            hint="restore it from a copy; see: ingest check",
            path=store.describe(file.path),
        )
    return True


def missing(store: Store, file: StoredFile) -> OutputDamaged:
    """The error for a file that a commit lists and that is nowhere."""
    return OutputDamaged(
        f"{store.describe(file.path)} was committed, and is neither there nor to be made from a temporary",
        hint="restore it from a copy; nothing is written until it is back; see: ingest check",
        path=store.describe(file.path),
    )
