"""How commands find and open the hub they talk about, and what they name in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ingest.errors import UsageError

if TYPE_CHECKING:
    from ingest.hub.contract import Hub, TopicInfo

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


def is_hub(folder: Path) -> bool:
    """Whether a hub was ever opened there for writing."""
    return (folder / "meta.properties").is_file()


@contextmanager
def open_hub(folder: Path, *, writable: bool, wait_s: float = 0.0, create: bool = False) -> Iterator[Hub]:
    """The hub in ``folder``. Readers need no lock, and see everything up to the synced offset."""
    if not create and not is_hub(folder):
        raise UsageError(
            f"{folder} is no data folder", hint="name the hub's folder with --data, or run a pipeline first"
        )
    from ingest.hub.embedded import EmbeddedHub

    hub = EmbeddedHub.open(folder, writable=writable, wait_ms=int(wait_s * 1000))
    try:
        yield hub
    finally:
        hub.close()


def known_topic(hub: Hub, name: str) -> TopicInfo:
    """The topic that the command line names."""
    topics = {topic.name: topic for topic in hub.topics()}
    if name not in topics:
        shown = [topic.name for topic in topics.values() if not topic.internal]
        raise not_there("topic", name, shown)
    return topics[name]


def known_partitions(topic: TopicInfo, partition: int | None) -> Iterable[int]:
    """All partitions, or the one that the command line names."""
    if partition is None:
        return range(topic.partitions)
    if partition >= topic.partitions:
        raise UsageError(
            f"{topic.name} has no partition {partition}", hint=f"its partitions are 0 to {topic.partitions - 1}"
        )
    return [partition]


def not_there(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """What the command line names is not there: the hint names the nearest that is, or all."""
    from ingest.config import nearest

    names = sorted(known)
    meant = nearest(name, names)
    hint = f"did you mean {meant}?" if meant else f"{kind}s: {', '.join(names) or 'there is none'}"
    return UsageError(f"there is no {kind} {name}", hint=hint, **{kind: name})
