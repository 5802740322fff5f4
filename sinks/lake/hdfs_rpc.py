"""``hdfs://``: Hadoop's own protocol, spoken by hdfs-native, without a JVM.

That library tries a namenode that is away for three minutes, and a paused one for ever; so every call has a
deadline here. It closes a file by asking the namenode twice, half a second apart: files are closed side by side.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from ingest.deadline import Deadline, TimeLost
from ingest.errors import ConfigError, MissingDependency, SystemUnavailable
from ingest.sinks.lake.hdfs_client import ANSWER_S, CLOSING, DATA_S, Found, HdfsClient, HdfsFile, refusal

T = TypeVar("T")

_DEFAULT_PORT = 8020
_EXCEPTION = re.compile(r'^RPCError\("([\w.$]+)", "(.*?)(?:\\n|"\)$)', re.DOTALL)


class RpcClient(HdfsClient):
    """``authority`` is ``host:port``, a name service of the configuration, or empty: then the default of it.

    The configuration is that of HADOOP_CONF_DIR, with ``options`` over it. The user is the one of the Kerberos
    ticket where the cluster asks for it, else HADOOP_USER_NAME, else the one of this process.
    """

    def __init__(self, authority: str, options: Mapping[str, Any]) -> None:
        if "@" in authority:
            raise ConfigError(
                f"hdfs://{authority} names a user, and this protocol cannot pass it on",
                hint="set HADOOP_USER_NAME, or use webhdfs://",
                setting="url",
            )
        self._authority = authority
        self._options = {name: _as_text(value) for name, value in options.items()}
        self._deadline = Deadline()
        self._closing = Deadline(CLOSING)
        self._client = self._connected()
        self._was_reached = False

    def describe(self, path: str) -> str:
        return f"hdfs://{self._authority}{path}"

    def make_folders(self, path: str) -> None:
        try:
            self._call(path, lambda: self._client.mkdirs(path, create_parent=True))
        except FileExistsError as error:
            raise refusal("FileAlreadyExistsException", str(error), self.describe(path)) from error

    def create(self, path: str) -> HdfsFile:
        from hdfs_native import WriteOptions

        options = WriteOptions(overwrite=True, create_parent=True)
        try:
            return RpcFile(self._call(path, lambda: self._client.create(path, options)), self, path)
        except FileExistsError as error:
            raise refusal("FileAlreadyExistsException", str(error), self.describe(path)) from error

    def rename(self, source: str, target: str) -> None:
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            self._call(target, lambda: self._client.rename(source, target))

    def delete(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._call(path, lambda: self._client.delete(path))

    def read(self, path: str) -> bytes | None:
        try:
            return self.data_call(path, lambda: bytes(self._client.read(path).read()))
        except FileNotFoundError:
            return None

    def size_bytes(self, path: str) -> int | None:
        try:
            return int(self._call(path, lambda: self._client.get_file_info(path)).length)
        except FileNotFoundError:
            return None

    def listing(self, folder: str) -> Iterable[Found]:
        try:
            found = self._call(folder, lambda: list(self._client.list_status(folder)))
        except FileNotFoundError:
            return []
        return [Found(status.path.rpartition("/")[2], status.isdir) for status in found]

    def filesystem(self) -> Any:
        from hdfs_native.fsspec import HdfsFileSystem

        host, _, port = self._authority.partition(":")
        return HdfsFileSystem(host=host or None, port=int(port) if port else None, **self._options)

    def data_call(self, path: str, function: Callable[[], T]) -> T:
        """A call that the datanodes have a part in."""
        with self.answering(path):
            return self._deadline.call(DATA_S, function)

    def start_closing(self, function: Callable[[], T]) -> Future[T]:
        """Begins what takes long and is done for many files at a time; for ``wait_for``."""
        return self._closing.start(function)

    def wait_for(self, path: str, done: Future[T]) -> T:
        with self.answering(path):
            return self._closing.wait(DATA_S, done)

    @contextlib.contextmanager
    def answering(self, path: str) -> Iterator[None]:
        """Lets through that a file is or is not there; all else becomes an error of ours."""
        where = self.describe(path)
        try:
            yield
        except (FileNotFoundError, FileExistsError):
            raise
        except RuntimeError as error:
            said = str(error)
            if found := _EXCEPTION.match(said):
                raise refusal(found[1], found[2].replace('\\"', '"'), where) from error
            raise SystemUnavailable(f"{where}: {said}", path=where) from error
        except TimeLost as error:
            hint = "does a namenode answer at that host and port? does each datanode?"
            raise SystemUnavailable(f"{where}: {error}", hint=hint, path=where) from error
        except OSError as error:
            raise SystemUnavailable(f"{where}: {error}", path=where) from error
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            raise SystemUnavailable(f"{where}: the HDFS client has failed: {error}", path=where) from error

    def _call(self, path: str, function: Callable[[], T]) -> T:
        with self.answering(path):
            if not self._was_reached:
                self._reach()
            return self._deadline.call(ANSWER_S, function)

    def _reach(self) -> None:
        """A namenode that is not there is told at once, and why; the library would try it for minutes first."""
        host, _, port = self._authority.partition(":")
        if port:
            socket.create_connection((host, int(port)), ANSWER_S).close()
        self._was_reached = True

    def _connected(self) -> Any:
        """Reaches nothing yet. A host without a port, which is no name service, has Hadoop's usual port."""
        try:
            from hdfs_native import Client
        except ImportError as error:
            hint = "pip install 'ingest[hdfs]'"
            raise MissingDependency("hdfs:// needs a library that is not installed", hint=hint) from error
        try:
            return Client(f"hdfs://{self._authority}", self._options)
        except RuntimeError as error:
            if not self._authority or ":" in self._authority or "No NameNode hosts found" not in str(error):
                hint = "name the namenode in the url, or set HADOOP_CONF_DIR"
                raise ConfigError(f"hdfs://{self._authority}: {error}", hint=hint, setting="url") from error
        self._authority = f"{self._authority}:{_DEFAULT_PORT}"
        return self._connected()


class RpcFile(HdfsFile):
    """Synced and closed in a thread of its own."""

    def __init__(self, writer: Any, client: RpcClient, path: str) -> None:
        self._writer = writer
        self._client = client
        self._path = path
        self._closed: Future[Any] | None = None

    def write(self, view: memoryview) -> None:
        data = bytes(view)  # anything else but bytes is taken apart byte by byte: 20 times the CPU
        try:
            self._client.data_call(self._path, lambda: self._writer.write(data))
        except FileNotFoundError as error:
            raise self._lost(error) from error

    def finish(self) -> None:
        self._closed = self._client.start_closing(self._sync_and_close)

    def settle(self) -> None:
        assert self._closed is not None
        try:
            self._client.wait_for(self._path, self._closed)
        except FileNotFoundError as error:
            raise self._lost(error) from error

    def abandon(self) -> None:
        self._writer = None

    def _sync_and_close(self) -> None:
        self._writer.hsync()
        self._writer.close()

    def _lost(self, error: Exception) -> SystemUnavailable:
        """Somebody removed the file while it was written: a newer writer, which the ledger will tell of."""
        where = self._client.describe(self._path)
        return SystemUnavailable(f"{where}: {str(error).partition(chr(10))[0]}", path=where)


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
