"""Any fsspec file system that can rename: a temporary in the same folder, then a rename that is looked at.

Some of them do not say that a rename failed; so what stands at the target afterwards decides, not the answer.
Put-if-absent is look and write, which is for tables with a single writer, and for ``memory://``.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from ingest.errors import ConnectorError, SystemUnavailable
from ingest.sinks.lake.manifest import StoredFile
from ingest.sinks.lake.names import LEDGERS, hidden_path, temporary_name
from ingest.sinks.lake.store import Draft, WalkedStore, is_published, missing

_ONE_AT_A_TIME = threading.Lock()
"""``memory://`` is shared by the threads of a process; look and write is one step there."""


@contextlib.contextmanager
def answering(what: str) -> Iterator[None]:
    """What the file system of another machine refuses may be another matter in a minute."""
    try:
        yield
    except (PermissionError, NotADirectoryError, IsADirectoryError) as error:
        hint = "give this user the right to write there, or name another folder"
        raise ConnectorError(f"{what}: {error}", hint=hint, path=what) from error
    except OSError as error:
        raise SystemUnavailable(f"{what}: {error}", path=what) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _CLIENTS:
            raise
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        if status in (401, 403):
            hint = "check the credentials in storage_options, and the rights of their user"
            raise ConnectorError(f"{what}: {error}", hint=hint, path=what) from error
        raise SystemUnavailable(f"{what}: {error}", path=what) from error


_CLIENTS = ("aiohttp", "azure", "gcsfs", "google")
"""Libraries below fsspec whose errors are none of Python's own."""


class RenamingDraft(Draft):
    """Written through fsspec's own file, whatever it buffers."""

    def __init__(self, path: str, temporary: str, filesystem: Any, full_path: str) -> None:
        super().__init__(path)
        self._temporary = temporary
        self._filesystem = filesystem
        self._full_path = full_path
        with answering(full_path):
            self._filesystem.makedirs(full_path.rpartition("/")[0], exist_ok=True)
            self._file = filesystem.open(full_path, "wb")

    def _append(self, view: memoryview) -> None:
        with answering(self._full_path):
            self._file.write(view)

    def finish(self) -> StoredFile:
        with answering(self._full_path):
            self._file.close()
            size = self._filesystem.size(self._full_path)
        if size != self.size_bytes:
            raise SystemUnavailable(f"{self._full_path} has {size} bytes after {self.size_bytes} were written")
        return StoredFile(self.path, self.size_bytes, self.crc32c, temporary=self._temporary)

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        self._filesystem.rm_file(self._full_path)


class RenamingStore(WalkedStore):
    """``root`` is the table's path in ``filesystem``."""

    def __init__(self, filesystem: Any, root: str, scheme: str) -> None:
        self._filesystem = filesystem
        self._root = root
        self._scheme = scheme

    def describe(self, path: str = "") -> str:
        return f"{self._scheme}://{self._full(path).lstrip('/')}"

    def check(self) -> None:
        with answering(self.describe()):
            self._filesystem.exists(self._root)

    def draft(self, path: str, writer: str) -> Draft:
        folder, _, name = path.rpartition("/")
        temporary = f"{folder}/{temporary_name(name, writer)}".lstrip("/")
        return RenamingDraft(path, temporary, self._filesystem, self._full(temporary))

    def settle(self, files: Sequence[StoredFile]) -> None:
        return

    def publish(self, file: StoredFile) -> None:
        if is_published(self, file):
            return
        if self.size_bytes(file.temporary) is None:
            raise missing(self, file)
        with answering(self.describe(file.path)):
            self._filesystem.mv(self._full(file.temporary), self._full(file.path))
        if not is_published(self, file):
            raise SystemUnavailable(f"{self.describe(file.path)} is not there after it was renamed")

    def settle_published(self, files: Sequence[StoredFile]) -> None:
        return

    def hide(self, path: str) -> None:
        if self.size_bytes(path) is None:
            return
        with answering(self.describe(path)), contextlib.suppress(FileNotFoundError):
            self._filesystem.mv(self._full(path), self._full(hidden_path(path)))
        if self.size_bytes(path) is not None:
            raise SystemUnavailable(f"{self.describe(path)} is still there after it was renamed")

    def remove(self, paths: Sequence[str]) -> None:
        for path in paths:
            with answering(self.describe(path)), contextlib.suppress(FileNotFoundError):
                self._filesystem.rm_file(self._full(path))

    def put_if_absent(self, path: str, content: bytes, writer: str) -> bool:
        full_path = self._full(path)
        with _ONE_AT_A_TIME, answering(self.describe(path)):
            if self._filesystem.exists(full_path):
                return False
            self._filesystem.makedirs(full_path.rpartition("/")[0], exist_ok=True)
            # never half a manifest: written aside, then renamed
            beside = self._full(f"{path.rpartition('/')[0]}/{temporary_name(path.rpartition('/')[2], writer)}")
            self._filesystem.pipe_file(beside, content)
            self._filesystem.mv(beside, full_path)
        return self.read(path) == content

    def settle_folder(self, folder: str) -> None:
        return

    def read(self, path: str) -> bytes | None:
        with answering(self.describe(path)):
            try:
                return bytes(self._filesystem.cat_file(self._full(path)))
            except FileNotFoundError:
                return None

    def names(self, folder: str) -> list[str]:
        with answering(self.describe(folder)):
            self._filesystem.invalidate_cache()
            try:
                found = self._filesystem.ls(self._full(folder), detail=False)
            except FileNotFoundError:
                return []
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found)

    def size_bytes(self, path: str) -> int | None:
        with answering(self.describe(path)):
            self._filesystem.invalidate_cache()
            try:
                return int(self._filesystem.size(self._full(path)))
            except FileNotFoundError:
                return None

    def filesystem(self) -> tuple[Any, str]:
        from pyarrow.fs import FSSpecHandler, PyFileSystem

        return PyFileSystem(FSSpecHandler(self._filesystem)), self._root

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}".rstrip("/") if path else self._root

    def _walk(self) -> Iterator[str]:
        with answering(self.describe()):
            self._filesystem.invalidate_cache()
            found = self._filesystem.find(self._root)
        below = (path[len(self._root) :].lstrip("/") for path in found)
        return (path for path in below if not path.startswith(f"{LEDGERS}/"))
