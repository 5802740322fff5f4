"""From a URL to the store that stands for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ingest.environment import Environment
from ingest.errors import ConfigError, MissingDependency
from ingest.sinks.lake.store import Store

_LOCAL = ("file", "local")
_S3 = ("s3", "s3a")
_HDFS = ("hdfs", "webhdfs")
_OBJECTS = {"gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}
_IN_PROCESS = ("memory",)


def check_url(url: str, *, single_writer: bool) -> None:
    """Without any I/O: raises ``ConfigError`` for a place that cannot tell two writers apart, unless
    ``single_writer`` says that there are none."""
    scheme, _ = _parted(url)
    if scheme not in (*_LOCAL, *_S3, *_HDFS, *_OBJECTS, *_IN_PROCESS) and not single_writer:
        raise ConfigError(
            f"the store {scheme}:// has no way for two writers to notice each other",
            hint="set single_writer: true if no other process ever writes to this table",
            setting="url",
        )


def open_store(
    url: str,
    base_folder: Path,
    environment: Environment,
    *,
    storage_options: Mapping[str, Any] | None = None,
    single_writer: bool = False,
) -> Store:
    """The store at ``url``; a path without a scheme is relative to ``base_folder``. Reaches nothing yet."""
    scheme, path = _parted(url)
    if scheme in _LOCAL:
        from ingest.sinks.lake.store_local import LocalStore

        base_folder = base_folder.absolute()
        root = Path(os.path.normpath(base_folder / Path(path).expanduser()))
        return LocalStore(root, environment.disk, base_folder=base_folder, single_writer=single_writer)
    if scheme in _HDFS:
        return _hdfs(scheme, path, storage_options or {})
    filesystem, root_path = _fsspec(url, scheme, storage_options or {})
    if scheme in _S3:
        from ingest.sinks.lake.store_s3 import S3Store

        return S3Store(filesystem, root_path)
    if scheme in _OBJECTS:
        from ingest.sinks.lake.store_objects import ObjectStore

        return ObjectStore(filesystem, root_path, scheme)
    from ingest.sinks.lake.store_renaming import RenamingStore

    return RenamingStore(filesystem, root_path, scheme)


def _hdfs(scheme: str, place: str, options: Mapping[str, Any]) -> Store:
    from ingest.sinks.lake.store_hdfs import HdfsStore

    authority, _, path = place.partition("/")
    if scheme == "hdfs":
        from ingest.sinks.lake.hdfs_rpc import RpcClient

        return HdfsStore(RpcClient(authority, options), f"/{path}")
    from ingest.sinks.lake.hdfs_web import WebClient

    return HdfsStore(WebClient(authority, options), f"/{path}")


def _parted(url: str) -> tuple[str, str]:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "file", url
    scheme = scheme.lower()
    return scheme, unquote(rest.removeprefix("localhost")) if scheme in _LOCAL else rest


def _fsspec(url: str, scheme: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    import fsspec

    # a cached listing does not know what this very process, or another one, has written since
    options = {"use_listings_cache": False, **options} if scheme in _S3 or scheme in _OBJECTS else dict(options)
    try:
        filesystem, path = fsspec.core.url_to_fs(url, **options)
    except ImportError as error:
        extra = "s3" if scheme in _S3 else _OBJECTS.get(scheme)
        hint = f"pip install 'ingest[{extra}]'" if extra else str(error)
        raise MissingDependency(f"{scheme}:// needs a library that is not installed", hint=hint) from error
    except (ValueError, TypeError) as error:
        raise ConfigError(f"the URL {url} cannot be used: {error}", setting="url") from error
    return filesystem, path.rstrip("/")
