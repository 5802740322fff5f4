"""A file system for readers who have a table's list of files, and read them while compaction moves some away."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from pyarrow.fs import FileInfo, FileSystem, FileSystemHandler, FileType, PyFileSystem

from ingest.sinks.lake.names import hidden_path
from ingest.sinks.lake.store import Store


def following(store: Store) -> tuple[FileSystem, str]:
    """As ``store.filesystem``; a data file that is gone is read from where it lies hidden."""
    filesystem, root = store.filesystem()
    return PyFileSystem(_Following(filesystem)), root


class _Following(FileSystemHandler):  # type: ignore[misc]  # pyarrow has no types
    """For reading only. A file that was opened in time stays open: where that is not so (S3), the read that
    fails is done again from the hidden file."""

    def __init__(self, filesystem: FileSystem) -> None:
        self._filesystem = filesystem

    def get_type_name(self) -> str:
        return f"following+{self._filesystem.type_name}"

    def normalize_path(self, path: str) -> str:
        return str(self._filesystem.normalize_path(path))

    def get_file_info(self, paths: list[str]) -> list[FileInfo]:
        found = self._filesystem.get_file_info(paths)
        return [
            self._filesystem.get_file_info(hidden_path(info.path)) if info.type == FileType.NotFound else info
            for info in found
        ]

    def get_file_info_selector(self, selector: Any) -> list[FileInfo]:
        return list(self._filesystem.get_file_info(selector))

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return self._opened(self._filesystem.open_input_stream, path)

    def open_input_file(self, path: str) -> pa.NativeFile:
        if isinstance(self._filesystem, PyFileSystem):
            return pa.PythonFile(_Reopened(self._filesystem, path), mode="r")
        return self._opened(self._filesystem.open_input_file, path)

    def _opened(self, open_file: Callable[[str], pa.NativeFile], path: str) -> pa.NativeFile:
        try:
            return open_file(path)
        except FileNotFoundError:
            return open_file(hidden_path(path))

    def _refused(self, *_arguments: object) -> Any:
        raise NotImplementedError("this file system is for reading")

    create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = delete_file = _refused
    move = copy_file = open_output_stream = open_append_stream = _refused


class _Reopened:
    """An open file of a store where a name that goes takes its open files with it."""

    def __init__(self, filesystem: FileSystem, path: str) -> None:
        self._filesystem = filesystem
        self._hidden = hidden_path(path)
        self.closed = False
        try:
            self._file = filesystem.open_input_file(path)
        except FileNotFoundError:
            self._file = filesystem.open_input_file(self._hidden)

    def read(self, count: int = -1) -> bytes:
        at = self._file.tell()
        try:
            return self._read(count)
        except OSError:
            # whatever the library made of it: if there is a hidden file, it has the same bytes
            again = self._filesystem.open_input_file(self._hidden)
            self._file, old = again, self._file
            with contextlib.suppress(OSError):
                old.close()
            self._file.seek(at)
            return self._read(count)

    def _read(self, count: int) -> bytes:
        return bytes(self._file.read(None if count < 0 else count))

    def seek(self, position: int, whence: int = 0) -> int:
        return int(self._file.seek(position, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def size(self) -> int:
        return int(self._file.size())

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True
        self._file.close()
