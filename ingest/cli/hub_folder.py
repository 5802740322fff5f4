"""How commands find and open the hub they talk about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ingest.errors import ConfigError

if TYPE_CHECKING:
    from ingest.hub.contract import Hub

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_FOLDER = "./ingest-data"

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="INGEST_DATA",
    default=DEFAULT_FOLDER,
    show_default=True,
    show_envvar=True,
    help="The embedded hub's folder.",
)
wait_option = click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Seconds to wait for another process that owns the folder.",
)


@contextmanager
def open_hub(folder: Path, *, writable: bool, wait_s: float = 0.0, create: bool = False) -> Iterator[Hub]:
    """The hub in ``folder``. Readers need no lock, and see everything up to the synced offset."""
    from ingest.hub.embedded import EmbeddedHub

    if not create and not folder.is_dir():
        raise ConfigError(
            f"{folder} is no data folder", hint="name the hub's folder with --data, or run a pipeline first"
        )
    hub = EmbeddedHub.open(folder, writable=writable, wait_ms=int(wait_s * 1000))
    try:
        yield hub
    finally:
        hub.close()
