"""What a store asks of HDFS, whichever of its two protocols is spoken, and what its refusals mean.

Paths are absolute. Everything raises an ``IngestError`` that names the URL; waiting is bounded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, NamedTuple

from ingest.errors import ConnectorError, IngestError, StorageFailed, SystemUnavailable

ANSWER_S = 20
"""How long the namenode may take over an answer."""
DATA_S = 90
"""How long the datanodes may take over a piece of data: they look for a replacement of one that is lost."""

CLOSING = 32
"""Files whose last bytes may be under way at the same time. One after the other they take half a second each."""


class Found(NamedTuple):
    """One name in a folder."""

    name: str
    is_folder: bool


class HdfsFile(ABC):
    """A new file, which nobody else writes."""

    @abstractmethod
    def write(self, view: memoryview) -> None: ...

    @abstractmethod
    def finish(self) -> None:
        """Nothing is written after this: begins to bring the bytes to the disks of the datanodes."""

    @abstractmethod
    def settle(self) -> None:
        """After ``finish``; on return all bytes are on those disks, and the namenode has the file closed."""

    @abstractmethod
    def abandon(self) -> None:
        """Lets go of it, whatever its state; what was written stays. Raises nothing."""


class HdfsClient(ABC):
    """One user at one cluster."""

    @abstractmethod
    def describe(self, path: str) -> str:
        """The URL."""

    @abstractmethod
    def make_folders(self, path: str) -> None:
        """Makes a folder and those above it; none is an error if it is there."""

    @abstractmethod
    def create(self, path: str) -> HdfsFile:
        """A new file in place of one that may be there."""

    @abstractmethod
    def rename(self, source: str, target: str) -> None:
        """Asks for it, and replaces nothing. Returning says nothing: what stands at ``target`` afterwards does."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Removes a file, open or not; what is gone already is no error."""

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """The content of a small file; None if there is none."""

    @abstractmethod
    def size_bytes(self, path: str) -> int | None:
        """The size as the namenode knows it; None if there is no file."""

    @abstractmethod
    def listing(self, folder: str) -> Iterable[Found]:
        """What lies in a folder; empty if there is none."""

    @abstractmethod
    def filesystem(self) -> Any:
        """fsspec's file system, for readers."""


def refusal(kind: str, message: str, where: str) -> IngestError:
    """The error for an exception of Hadoop, ``kind`` being its class: may it be tried again, by whom?"""
    name = kind.rpartition(".")[2].rpartition("$")[2]
    said = f"{where}: {message.partition(chr(10))[0]}"
    if name in _NOT_ALLOWED:
        hint = "give that user the right, or run as another: user in storage_options (webhdfs), or HADOOP_USER_NAME"
        return ConnectorError(said, hint=hint, path=where)
    if name in _NOT_POSSIBLE:
        return ConnectorError(said, hint="name another folder", path=where)
    if name.endswith("QuotaExceededException"):
        return StorageFailed(said, hint="raise the folder's quota, or make room under it", path=where)
    if name == "SafeModeException":
        return SystemUnavailable(said, hint="it goes on when the namenode leaves safe mode", path=where)
    return SystemUnavailable(said, path=where)


_NOT_ALLOWED = ("AccessControlException", "AuthorizationException", "AuthenticationException", "SecurityException")
_NOT_POSSIBLE = (
    "FileAlreadyExistsException",
    "InvalidPathException",
    "ParentNotDirectoryException",
    "PathComponentTooLongException",
)
