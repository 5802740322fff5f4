"""``ingest.connect``: a hub by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ingest.environment import Environment
from ingest.errors import ConfigError
from ingest.hub.client import Client


def connect(
    hub: str | Path,
    *,
    writable: bool = True,
    wait_ms: int = 0,
    env: Environment | None = None,
    report: Callable[[str], None] = lambda what: None,
) -> Client:
    """Opens the hub in the folder ``hub``, and makes it if it is not there.

    One process writes at a time: another one gets ``FolderLocked``, after ``wait_ms``. With ``writable=False``
    any number of processes read beside it. ``report`` gets a sentence for each thing that recovery did.
    """
    scheme, separator, _ = str(hub).partition("://")
    if separator:
        raise ConfigError(
            "a Kafka cluster as the hub is not supported yet"
            if scheme == "kafka"
            else f"no hub is named by {scheme}://",
            hint="name a folder: the hub is in this process then",
            hub=str(hub),
        )
    from ingest.hub.embedded import EmbeddedHub

    env = env or Environment()
    opened = EmbeddedHub.open(hub, env, writable=writable, wait_ms=wait_ms, report=report)
    return Client(opened, env, writable=writable)
