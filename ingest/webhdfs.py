"""A connection to HDFS over HTTP that can be trusted: fsspec's, with what it lacks.

fsspec's own waits without end, takes the error page of a datanode for the content of a file, and talks to a port
that Hadoop left behind with version 2. For sinks and sources alike.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from typing import Any

from ingest.errors import ConfigError, MissingDependency

_DEFAULT_PORT = 9870
_CONNECT_S, _ANSWER_S = 10, 30
_BY_DATANODES = ("namenoderpcaddress=", "data=true")
"""What is in a URL that a namenode, or an HttpFS gateway, has sent us to."""


def connect(authority: str, options: Mapping[str, Any]) -> Any:
    """fsspec's ``WebHDFS`` for ``[user@]host[:port]``; it reaches nothing yet.

    ``options`` are those of fsspec: ``user``, ``kerberos``, ``token``, ``password``, ``use_https``, ``data_proxy``,
    ... Without any that names somebody, the user is HADOOP_USER_NAME, else that of this process.
    """
    try:
        from fsspec.implementations.webhdfs import WebHDFS
    except ImportError as error:
        hint = "pip install 'ingest[hdfs]'"
        raise MissingDependency("webhdfs:// needs a library that is not installed", hint=hint) from error
    user, _, place = authority.rpartition("@")
    host, _, port = place.partition(":")
    if not host or not (port or "0").isdecimal():
        raise ConfigError(f"webhdfs://{authority} names no host", hint="webhdfs://namenode:9870/folder", setting="url")
    given = {"user": user} if user else {}
    given |= options
    if not any(given.get(name) for name in ("user", "token", "kerberos")):
        given["user"] = os.environ.get("HADOOP_USER_NAME") or getpass.getuser()
    connection = WebHDFS(host, int(port or _DEFAULT_PORT), skip_instance_cache=True, **given)
    connection.session.hooks["response"].append(_check_datanode)
    _limit_waiting(connection.session)
    return connection


def _check_datanode(answer: Any, **_: Any) -> None:
    if answer.status_code >= 400 and any(mark in answer.url for mark in _BY_DATANODES):
        answer.raise_for_status()


def _limit_waiting(session: Any) -> None:
    from requests.adapters import HTTPAdapter

    class Impatient(HTTPAdapter):
        def send(self, request: Any, *arguments: Any, **named: Any) -> Any:
            named["timeout"] = named.get("timeout") or (_CONNECT_S, _ANSWER_S)
            return super().send(request, *arguments, **named)

    for prefix in ("http://", "https://"):
        session.mount(prefix, Impatient())
