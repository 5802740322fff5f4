"""A file system whose library may wait for ever (hdfs-native, for a namenode that is away): each call ends in time."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any

from ingest.deadline import Deadline

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

ANSWER_S = 20
"""How long a call may take that moves no data."""
DATA_S = 90
"""How long a read may take: the client looks for another copy of a block that is lost."""
_BUFFER_BYTES = 1024 * 1024


class TimedFileSystem:
    """What ``Place`` uses of fsspec's interface. Raises ``TimeLost`` where the library does not answer."""

    def __init__(self, filesystem: Any) -> None:
        self._filesystem = filesystem
        self._deadline = Deadline()

    def open(self, path: str, mode: str) -> IO[bytes]:
        file = self._call("open", path, mode)
        return io.BufferedReader(_TimedFile(file, self._deadline), _BUFFER_BYTES)

    def info(self, path: str) -> Any:
        return self._call("info", path)

    def ls(self, path: str, detail: bool) -> Any:
        return self._call("ls", path, detail=detail)

    def exists(self, path: str) -> Any:
        return self._call("exists", path)

    def makedirs(self, path: str, exist_ok: bool) -> Any:
        return self._call("makedirs", path, exist_ok=exist_ok)

    def mv(self, path: str, target: str) -> Any:
        return self._call("mv", path, target)

    def rm_file(self, path: str) -> Any:
        return self._call("rm_file", path)

    def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        function = getattr(self._filesystem, name)
        return self._deadline.call(ANSWER_S, lambda: function(*arguments, **named))


class _TimedFile(io.RawIOBase):
    """For reading."""

    def __init__(self, file: Any, deadline: Deadline) -> None:
        super().__init__()
        self._file = file
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self._deadline.call(DATA_S, lambda: self._file.read(len(view)))
        view[: len(data)] = data
        return len(data)

    def seek(self, position: int, whence: int = 0) -> int:
        self._deadline.call(ANSWER_S, lambda: self._file.seek(position, whence))
        return self.tell()

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
