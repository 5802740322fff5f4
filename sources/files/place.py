"""The folder or bucket that is read, on any fsspec file system: listing, opening, putting away."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from ingest.deadline import TimeLost
from ingest.errors import ConfigError, ConnectorError, MissingDependency, SystemUnavailable
from ingest.sources.files.timed import TimedFileSystem
from ingest.webhdfs import connect

_S3 = ("s3", "s3a")
_EXTRAS = {"s3": "s3", "s3a": "s3", "hdfs": "hdfs", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure"}
_UNFINISHED = re.compile(r"[._].*|.*(\.tmp|\.part|\.inprogress|\._COPYING_)", re.DOTALL)
_OURS = ("/_ingest", "/meta.properties")
_MODIFIED = ("LastModified", "last_modified", "modified", "mtime", "modification_time", "modificationTime", "created")
_TAGS = ("ETag", "etag", "md5Hash", "content_md5", "checksum")


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """An object as a listing shows it; ``tag`` is its content's, where the store tells one."""

    modified_ms: int
    name: str
    size_bytes: int
    tag: str

    @property
    def version(self) -> str:
        """Changes whenever the object is written, as far as the store tells."""
        return f"{self.size_bytes}:{self.modified_ms}:{self.tag}"


class Gone(Exception):
    """The object is not there any more."""


class Place:
    """Names are relative to the root, with ``/``. Refusals that may pass are raised as ``SystemUnavailable``."""

    def __init__(self, url: str, base_folder: Path, options: Mapping[str, Any]) -> None:
        scheme, separator, path = url.partition("://")
        if not separator or scheme in ("file", "local"):
            path = path if separator else url
            url = os.path.normpath(base_folder.absolute() / Path(path).expanduser())
            scheme = "file"
        self._filesystem, root = _file_system(url, scheme, options)
        self.url = url.rstrip("/")
        self.passed_over: set[str] = set()
        """Folders below the root that are hubs, or tables of sinks: a pipeline would read its own output for ever."""
        self._root = root.rstrip("/")

    def describe(self, name: str) -> str:
        return f"{self.url}/{name}" if name else self.url

    def walk(self, troubles: dict[str, str]) -> Iterator[Found]:
        """All objects that are finished, folder by folder; folders that may not be read are told in ``troubles``.
        Raises ``Gone`` if there is no root."""
        with self._answering(self.url):
            info = self._filesystem.info(self._root)
        if info["type"] != "directory":
            yield _found(info, "")
            return
        folders = [self._root]
        while folders:
            folder = folders.pop()
            listed = self._list(folder, troubles)
            if folder != self._root and any(info["name"].rstrip("/").endswith(_OURS) for info in listed):
                self.passed_over.add(folder)
                continue
            for info in listed:
                path = info["name"].rstrip("/")
                if _UNFINISHED.fullmatch(path.rpartition("/")[2]) or path == self._root:
                    continue
                if info["type"] == "directory":
                    folders.append(path)
                elif info["type"] == "file" and (relative := self._relative(path)):
                    yield _found(info, relative)

    def look(self, name: str) -> Found:
        """The object now. Raises ``Gone``."""
        with self._answering(self.describe(name)):
            return _found(self._filesystem.info(self._path(name)), name)

    def open(self, name: str) -> IO[bytes]:
        """For reading, with ``seek``. Raises ``Gone``."""
        with self._answering(self.describe(name)):
            opened: IO[bytes] = self._filesystem.open(self._path(name), "rb")
            return opened

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Around reads of an open object."""
        with self._answering(self.describe(name)):
            yield

    def delete(self, name: str) -> None:
        with self._answering(self.describe(name)):
            self._filesystem.rm_file(self._path(name))

    def move(self, name: str, folder: str) -> None:
        """Below ``folder``, under its name; never over what is there."""
        folder = folder if folder.startswith("/") or "://" in folder else f"{self._root.rpartition('/')[0]}/{folder}"
        target = f"{folder.rstrip('/')}/{name or self._root.rpartition('/')[2]}"
        with self._answering(self.describe(name)):
            free, number = target, 0
            while self._filesystem.exists(free):
                number += 1
                free = f"{target}.{number}"
            self._filesystem.makedirs(free.rpartition("/")[0], exist_ok=True)
            self._filesystem.mv(self._path(name), free)

    def _list(self, folder: str, troubles: dict[str, str]) -> Sequence[Mapping[str, Any]]:
        try:
            with self._answering(folder):
                found: Sequence[Mapping[str, Any]] = self._filesystem.ls(folder, detail=True)
                return found
        except Gone:
            return ()
        except ConnectorError as error:
            troubles[folder] = error.message
            return ()

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _relative(self, path: str) -> str:
        return path.removeprefix(self._root).lstrip("/")

    @contextlib.contextmanager
    def _answering(self, what: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise Gone(what) from error
        except PermissionError as error:
            raise ConnectorError(f"{what}: {error}", hint="give this user the right to read it", path=what) from error
        except RuntimeError as error:  # how both clients of HDFS pass on what Hadoop says
            if "AccessControlException" in str(error):
                hint = "give this user the right to read it"
                raise ConnectorError(f"{what}: {error}", hint=hint, path=what) from error
            raise SystemUnavailable(f"{what}: {error}", path=what) from error
        except Exception as error:
            if isinstance(error, OSError | TimeLost) or type(error).__module__.partition(".")[0] in _CLIENTS:
                raise SystemUnavailable(f"{what}: {error}", path=what) from error
            raise


_CLIENTS = ("botocore", "aiobotocore", "aiohttp", "requests", "hdfs_native")


def _file_system(url: str, scheme: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    import fsspec

    # a cached listing does not know what others have written since
    given = {"use_listings_cache": False, **options} if scheme in _S3 else dict(options)
    try:
        if scheme == "hdfs":
            return _hdfs(url, given)
        if scheme == "webhdfs":
            authority, _, path = url.partition("://")[2].partition("/")
            return connect(authority, given), f"/{path}"
        filesystem, root = fsspec.core.url_to_fs(url, **given)
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        hint = f"pip install 'ingest[{extra}]'" if extra else str(error)
        raise MissingDependency(f"{scheme}:// needs a library that is not installed", hint=hint) from error
    except (ValueError, TypeError) as error:
        raise ConfigError(f"the URL {url} cannot be used: {error}", setting="url") from error
    return filesystem, str(root)


def _hdfs(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """Not fsspec's own choice, which wants a Java machine."""
    from urllib.parse import urlsplit

    from hdfs_native.fsspec import HdfsFileSystem

    parts = urlsplit(url)
    filesystem = HdfsFileSystem(host=parts.hostname, port=parts.port, **options)
    return TimedFileSystem(filesystem), parts.path or "/"


def _found(info: Mapping[str, Any], name: str) -> Found:
    modified = next((info[key] for key in _MODIFIED if info.get(key)), 0)
    tag = next((str(info[key]) for key in _TAGS if info.get(key)), "")
    return Found(_milliseconds(modified), name, int(info.get("size") or 0), tag.strip('"'))


def _milliseconds(moment: Any) -> int:
    if isinstance(moment, datetime):
        return round(moment.timestamp() * 1000)
    if isinstance(moment, str):
        return round(datetime.fromisoformat(moment).timestamp() * 1000)
    # seconds, or milliseconds as HDFS counts them
    return int(moment) if moment > 1e11 else round(moment * 1000)
