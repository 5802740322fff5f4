"""A hub for programs: topics, producers and consumers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

from ingest.environment import Environment
from ingest.hub.consumer import Consumer
from ingest.hub.contract import Hub, TopicInfo
from ingest.hub.producer import Producer
from ingest.hub.values import Values

T = TypeVar("T", Producer, Consumer)


class Client:
    """Made by ``ingest.connect``. Thread-safe; closing it closes its producers and consumers, then the hub.

    ``hub`` is the contract underneath, for what is not here (positions, reading at an offset, deleting records).
    """

    def __init__(self, hub: Hub, env: Environment, *, writable: bool = True) -> None:
        self.hub = hub
        self._env = env
        self._values = Values(hub, writable=writable)
        self._made: list[Producer | Consumer] = []

    @property
    def id(self) -> str:
        """The hub's UUID."""
        return self.hub.id

    def topics(self) -> Sequence[TopicInfo]:
        """All topics, without the hub's own."""
        return [info for info in self.hub.topics() if not info.internal]

    def topic(self, name: str) -> TopicInfo:
        """Raises ``TopicMissing``."""
        return self.hub.topic(name)

    def create_topic(
        self,
        name: str,
        partitions: int = 1,
        config: Mapping[str, str] | None = None,
        *,
        format: str | None = None,  # noqa: A002
    ) -> TopicInfo:
        """``format`` is one of ``ingest.formats.NAMES``. Raises ``TopicExists``, ``TopicInvalid``, ``FormatError``."""
        made = self.hub.create_topic(name, partitions, config)
        if format is not None:
            self._values.declare(name, format)
        return made

    def delete_topic(self, name: str) -> None:
        """Removes the topic and its records. Raises ``TopicMissing``."""
        self.hub.delete_topic(name)

    def producer(self, topic: str | None = None, **options: Any) -> Producer:
        """For records to ``topic``, or to any (named in each ``send``). Options: ``name`` (needed for
        transactions), ``partitioner``, ``linger_ms``, ``batch_bytes``, ``buffer_bytes``."""
        return self._keep(Producer(self.hub, self._env, self._values, topic=topic, **options))

    def consumer(self, topics: str | Collection[str] = (), **options: Any) -> Consumer:
        """For records of ``topics``, or of all that fully match the regular expression ``pattern``, or (with
        neither) of partitions to be assigned. Options: ``group``, ``start`` (``beginning`` or ``end``, where the
        group has no offset), ``committed``, ``auto_commit``, ``raw``, ``max_bytes``, ``max_poll_interval_ms``."""
        named = [topics] if isinstance(topics, str) else topics
        return self._keep(Consumer(self.hub, self._env, self._values, named, **options))

    def close(self) -> None:
        """Idempotent."""
        made, self._made = self._made, []
        for one in made:
            one.close()
        self.hub.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep(self, made: T) -> T:
        self._made.append(made)
        return made
