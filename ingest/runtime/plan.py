"""What a worker runs: the pipeline file with everything resolved, connectors and transforms made.

Built by the loader of pipeline files, or by hand in Python. Holds no open resource.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ingest.connectors import SinkConnector, SourceConnector, TopicPartition, Transform

_SINK = "/sink/"

Contract = Literal["evolve", "freeze", "dead-letter"]
"""What a schema change does: the topic's schema grows, the task stops, or the records are dead letters."""


@dataclass(frozen=True, slots=True)
class Retry:
    """``budget`` failures within ``window_ms`` are allowed; the pause after each starts at ``backoff_ms``
    and doubles up to ``max_backoff_ms``."""

    budget: int = 20
    window_ms: int = 600_000
    backoff_ms: int = 200
    max_backoff_ms: int = 30_000


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """How a topic is made if it is not there; ``format`` None means: what fits its first values."""

    partitions: int = 1
    format: str | None = None
    config: Mapping[str, str] = field(default_factory=dict)
    contract: Contract = "evolve"


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """``topic`` is for records that name none; ``key`` and ``timestamp`` are SQL over the value's columns."""

    name: str
    connector: SourceConnector
    topic: str = ""
    key: str | None = None
    transforms: Sequence[Transform] = ()
    max_batch_bytes: int = 4 * 1024 * 1024
    tasks: int = 1
    retry: Retry = Retry()
    timestamp: str | None = None


@dataclass(frozen=True, slots=True)
class SinkPlan:
    """``topics`` are names, or patterns as in ``access.*`` (``*``, ``?``, ``[...]``).

    ``until``, if it is given, bounds the run: only these partitions are read, up to these offsets.
    """

    name: str
    connector: SinkConnector
    topics: Sequence[str]
    transforms: Sequence[Transform] = ()
    retry: Retry = Retry()
    until: Mapping[TopicPartition, int] | None = None


@dataclass(frozen=True, slots=True)
class ErrorPolicy:
    """With tolerance ``none`` the first refused record stops its task; else it goes to ``topic``."""

    tolerance: Literal["none", "dead-letter"] = "dead-letter"
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """One pipeline. Names are unique among its sources and among its sinks."""

    pipeline: str
    base_folder: Path
    topics: Mapping[str, TopicPlan] = field(default_factory=dict)
    sources: Sequence[SourcePlan] = ()
    sinks: Sequence[SinkPlan] = ()
    errors: ErrorPolicy = ErrorPolicy()

    @property
    def errors_topic(self) -> str:
        """Where dead letters go."""
        return self.errors.topic or f"{self.pipeline}.dead"

    def source_owner(self, source: str) -> str:
        """Under this name a source keeps its positions in the hub and is fenced as a writer."""
        return f"{self.pipeline}/{source}"

    def sink_owner(self, sink: str) -> str:
        """The same for a sink; a source and a sink of one pipeline may have the same name. Under this name it keeps
        records from retention, too."""
        return f"{self.pipeline}{_SINK}{sink}"

    def group(self, sink: str) -> str:
        """The consumer group that a sink reports to."""
        return group_of(self.sink_owner(sink))


def group_of(sink_owner: str) -> str:
    """The group of the sink that is known to the hub as ``sink_owner``."""
    pipeline, _, sink = sink_owner.rpartition(_SINK)
    return f"{pipeline}.{sink}"
