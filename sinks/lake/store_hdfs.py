"""HDFS, over either of its protocols: a temporary in the same folder, synced, renamed, and looked at again.

A rename that fails may say so or not, and one that succeeded may be told as a failure when its answer is lost; so
what stands at the target decides. The namenode writes a rename to its journal before it answers. Put-if-absent is
a rename, too: it never replaces a file, and the content, which holds the writer's id, tells who was first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from ingest.errors import IngestError, SystemUnavailable
from ingest.sinks.lake.hdfs_client import CLOSING, HdfsClient, HdfsFile
from ingest.sinks.lake.manifest import StoredFile
from ingest.sinks.lake.names import LEDGERS, hidden_path, temporary_name
from ingest.sinks.lake.store import Draft, WalkedStore, is_published, missing


class HdfsDraft(Draft):
    """The file is created at once; the store's ``settle`` waits for its end."""

    def __init__(self, path: str, temporary: str, store: HdfsStore) -> None:
        super().__init__(path)
        self._temporary = temporary
        self._store = store
        self._file = store.create(temporary)

    def _append(self, view: memoryview) -> None:
        self._file.write(view)

    def finish(self) -> StoredFile:
        self._file.finish()
        self._store.finished(self._temporary, self._file)
        return StoredFile(self.path, self.size_bytes, self.crc32c, temporary=self._temporary)

    def _remove(self) -> None:
        self._file.abandon()
        self._store.forget(self._temporary)


class HdfsStore(WalkedStore):
    """``root`` is the table's absolute path at ``client``."""

    def __init__(self, client: HdfsClient, root: str) -> None:
        self._client = client
        self._root = root.rstrip("/")
        self._closing: dict[str, HdfsFile] = {}

    def describe(self, path: str = "") -> str:
        return self._client.describe(self._full(path))

    def check(self) -> None:
        """HDFS has no way to ask for a right but to use it; what it tells is whether the place can be seen."""
        for _ in self._client.listing(self._full("")):
            return

    def draft(self, path: str, writer: str) -> Draft:
        folder, _, name = path.rpartition("/")
        return HdfsDraft(path, f"{folder}/{temporary_name(name, writer)}".lstrip("/"), self)

    def create(self, path: str) -> HdfsFile:
        """A file that is open; its folder is made with it."""
        return self._client.create(self._full(path))

    def finished(self, path: str, file: HdfsFile) -> None:
        """Nothing more is written to it; ``settle`` waits for what its end takes."""
        if len(self._closing) >= CLOSING:
            self._closing.pop(next(iter(self._closing))).settle()
        self._closing[path] = file

    def forget(self, path: str) -> None:
        """Removes a file that may be open."""
        self._closing.pop(path, None)
        self._client.delete(self._full(path))

    def settle(self, files: Sequence[StoredFile]) -> None:
        for file in files:
            if closing := self._closing.pop(file.temporary, None):
                closing.settle()

    def publish(self, file: StoredFile) -> None:
        if is_published(self, file):
            return
        error = self._rename(file.temporary, file.path)
        if is_published(self, file):
            return
        if self.size_bytes(file.temporary) is None and not is_published(self, file):
            raise missing(self, file) from error
        raise error or SystemUnavailable(f"{self.describe(file.path)} is not there after it was renamed")

    def settle_published(self, files: Sequence[StoredFile]) -> None:
        return

    def hide(self, path: str) -> None:
        if self.size_bytes(path) is None:
            return
        self._client.delete(self._full(hidden_path(path)))  # a rename replaces nothing
        error = self._rename(path, hidden_path(path))
        if self.size_bytes(path) is not None:
            raise error or SystemUnavailable(f"{self.describe(path)} is still there after it was renamed")

    def remove(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._client.delete(self._full(path))

    def put_if_absent(self, path: str, content: bytes, writer: str) -> bool:
        if self.size_bytes(path) is not None:
            return False
        folder, _, name = path.rpartition("/")
        beside = f"{folder.rpartition('/')[0]}/{temporary_name(name, writer)}"
        file = self.create(beside)
        try:
            file.write(memoryview(content))
            file.finish()
            file.settle()
            self._client.make_folders(self._full(folder))
            error = self._rename(beside, path)
            found = self.read(path)
        except BaseException:
            file.abandon()
            raise
        finally:
            with contextlib.suppress(IngestError):
                self._client.delete(self._full(beside))
        if found is None:
            raise error or SystemUnavailable(f"{self.describe(path)} is not there after it was renamed")
        return found == content

    def settle_folder(self, folder: str) -> None:
        return

    def read(self, path: str) -> bytes | None:
        return self._client.read(self._full(path))

    def names(self, folder: str) -> list[str]:
        return sorted(found.name for found in self._client.listing(self._full(folder)))

    def size_bytes(self, path: str) -> int | None:
        return self._client.size_bytes(self._full(path))

    def filesystem(self) -> tuple[Any, str]:
        from pyarrow.fs import FSSpecHandler, PyFileSystem

        return PyFileSystem(FSSpecHandler(self._client.filesystem())), self._root or "/"

    def _rename(self, source: str, target: str) -> IngestError | None:
        """Asks for a rename that may come too late; what is there afterwards is for the caller to see."""
        try:
            self._client.rename(self._full(source), self._full(target))
        except SystemUnavailable as error:
            return error
        return None

    def _walk(self) -> Iterator[str]:
        """All files but manifests."""
        folders = [""]
        while folders:
            folder = folders.pop()
            for found in self._client.listing(self._full(folder)):
                path = f"{folder}/{found.name}".lstrip("/")
                if not found.is_folder:
                    yield path
                elif path != LEDGERS:
                    folders.append(path)

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}".rstrip("/") or "/"
