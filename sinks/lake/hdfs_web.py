"""``webhdfs://``: HDFS over HTTP.

fsspec's client connects and authenticates; what is written goes another way than its own, which sends a file as
many appends of a third of a second each, never synced, and drops the answer to a rename. Here a file is one request
whose body is streamed, created with Hadoop's flag that has the datanodes sync it as it is closed.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlsplit

import orjson

from ingest.errors import ConnectorError, IngestError, SystemUnavailable
from ingest.sinks.lake.hdfs_client import ANSWER_S, DATA_S, Found, HdfsClient, HdfsFile, refusal
from ingest.webhdfs import connect

_CONNECT_S = 10
_SYNCED = "CREATE,OVERWRITE,SYNC_BLOCK"


class WebClient(HdfsClient):
    """``authority`` and ``options`` as ``ingest.webhdfs`` takes them."""

    def __init__(self, authority: str, options: Mapping[str, Any]) -> None:
        self._authority = authority.rpartition("@")[2]
        self._web = connect(authority, options)

    def describe(self, path: str) -> str:
        return f"webhdfs://{self._authority}{path}"

    def make_folders(self, path: str) -> None:
        self._ask("PUT", "MKDIRS", path)

    def create(self, path: str) -> HdfsFile:
        answer = self._ask("PUT", "CREATE", path, redirect=False, overwrite="true", createflag=_SYNCED)
        return WebFile(self, path, answer.headers.get("Location", ""))

    def rename(self, source: str, target: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._ask("PUT", "RENAME", source, destination=target)

    def delete(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._ask("DELETE", "DELETE", path)

    def read(self, path: str) -> bytes | None:
        try:
            answer = self._ask("GET", "OPEN", path, redirect=False)
            if location := answer.headers.get("Location"):
                answer = self._send("GET", self.proxied(location), path)
        except FileNotFoundError:
            return None
        return bytes(answer.content)

    def size_bytes(self, path: str) -> int | None:
        try:
            return int(self._ask("GET", "GETFILESTATUS", path).json()["FileStatus"]["length"])
        except FileNotFoundError:
            return None

    def listing(self, folder: str) -> Iterable[Found]:
        try:
            found = self._ask("GET", "LISTSTATUS", folder).json()["FileStatuses"]["FileStatus"]
        except FileNotFoundError:
            return []
        return [Found(status["pathSuffix"], status["type"] == "DIRECTORY") for status in found]

    def filesystem(self) -> Any:
        return self._web

    def proxied(self, location: str) -> str:
        """Where a datanode is reached, as ``data_proxy`` says."""
        if callable(self._web.proxy):
            return str(self._web.proxy(location))
        for inside, outside in self._web.proxy.items():
            location = location.replace(inside, outside, 1)
        return location

    def connection(self, location: str) -> HTTPConnection:
        """To the datanode that the namenode sent us to."""
        place = urlsplit(location)
        if place.scheme != "https":
            return HTTPConnection(place.netloc, timeout=DATA_S)
        verify, certificate = self._web.session.verify, self._web.session.cert
        context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
        if verify is False:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(*([certificate] if isinstance(certificate, str) else certificate))
        return HTTPSConnection(place.netloc, timeout=DATA_S, context=context)

    @contextlib.contextmanager
    def answering(self, path: str) -> Iterator[None]:
        """A connection that fails is an error that may be tried again."""
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, HTTPException) as error:
            where = self.describe(path)
            raise SystemUnavailable(f"{where}: {error or type(error).__name__}", path=where) from error

    def _ask(self, method: str, operation: str, path: str, *, redirect: bool = True, **arguments: str) -> Any:
        """One request to the namenode."""
        parameters = self._web.pars | {"op": operation} | arguments
        return self._send(method, f"{self._web.url}{quote(path)}", path, params=parameters, allow_redirects=redirect)

    def _send(self, method: str, url: str, path: str, **arguments: Any) -> Any:
        with self.answering(path):
            answer = self._web.session.request(
                method, url, timeout=(_CONNECT_S, ANSWER_S), hooks={"response": _unchecked}, **arguments
            )
            if answer.status_code >= 400:
                raise refused(answer.status_code, answer.content, self.describe(path))
        return answer


class WebFile(HdfsFile):
    """One PUT to a datanode. Cut off, it leaves a file that is shorter, under the temporary's name."""

    def __init__(self, client: WebClient, path: str, location: str) -> None:
        where = client.describe(path)
        if not location:
            raise SystemUnavailable(f"{where}: the namenode named no datanode to write to", path=where)
        self._client = client
        self._path = path
        self._size_bytes = 0
        location = client.proxied(location)
        place = urlsplit(location)
        with client.answering(path):
            self._connection = client.connection(location)
            self._connection.putrequest("PUT", f"{place.path}?{place.query}")
            self._connection.putheader("Content-Type", "application/octet-stream")
            self._connection.putheader("Transfer-Encoding", "chunked")
            self._connection.endheaders()

    def write(self, view: memoryview) -> None:
        if not view:
            return  # an empty chunk would end the body
        with self._client.answering(self._path):
            try:
                self._connection.send(b"%x\r\n" % len(view))
                self._connection.send(view)
                self._connection.send(b"\r\n")
            except (BrokenPipeError, ConnectionResetError):
                self._check(self._connection.getresponse())  # it may have said why
                raise
        self._size_bytes += len(view)

    def finish(self) -> None:
        with self._client.answering(self._path):
            self._connection.send(b"0\r\n\r\n")

    def settle(self) -> None:
        """The answer says that it is closed; the namenode is asked how much of it there is."""
        with self._client.answering(self._path):
            self._check(self._connection.getresponse())
            self._connection.close()
        size = self._client.size_bytes(self._path)
        if size != self._size_bytes:
            where = self._client.describe(self._path)
            raise SystemUnavailable(f"{where} has {size} bytes after {self._size_bytes} were written", path=where)

    def abandon(self) -> None:
        with contextlib.suppress(OSError, HTTPException):
            self._connection.close()

    def _check(self, answer: HTTPResponse) -> None:
        content = answer.read()
        if answer.status != 201:
            where = self._client.describe(self._path)
            error = refused(answer.status, content, where)
            if isinstance(error, FileNotFoundError):  # somebody removed it while it was written
                raise SystemUnavailable(str(error), path=where) from error
            raise error


def _unchecked(answer: Any, **_: Any) -> None:
    """In place of the connection's own look at the status: here the answer's text is read, too."""


def refused(status: int, content: bytes, where: str) -> IngestError | FileNotFoundError:
    """What an answer other than success means."""
    try:
        exception = orjson.loads(content)["RemoteException"]
        kind, message = str(exception["javaClassName"]), str(exception["message"])
    except (ValueError, KeyError, TypeError):
        kind, message = "", f"HTTP status {status}"
    if kind.endswith("FileNotFoundException") or (status == 404 and not kind):
        return FileNotFoundError(f"{where}: {message}")
    if status == 401:
        return ConnectorError(f"{where}: {message}", hint="set user, token or kerberos in storage_options", path=where)
    return refusal(kind, message, where)
