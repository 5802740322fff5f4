"""What is kept of a claim, and how it is written as JSON: drawn in docs/formats/internal-topics.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from ingest.connectors import Commit, TopicPartition

MAX_PATHS = 1_000
"""So many files of a commit are noted by name; all are counted."""


class OffsetRange(NamedTuple):
    """Half-open."""

    start: int
    end: int


Ranges = Mapping[TopicPartition, OffsetRange]


@dataclass(frozen=True, slots=True)
class Totals:
    """What a sink has committed for a claim, in commits ``first_commit``..``last_commit`` (0: in none)."""

    rows: int = 0
    files: int = 0
    size_bytes: int = 0
    dead_letters: int = 0
    first_commit: int = 0
    last_commit: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """``number`` counts the claims of a pipeline from 1; ``sinks`` holds the ranges by sink; ``topic_ids`` tell the
    topics from later ones of the same names. ``totals``, by sink, are there once it is ``done``."""

    run: str
    number: int
    sinks: Mapping[str, Ranges]
    topic_ids: Mapping[str, str] = field(default_factory=dict)
    done: bool = False
    totals: Mapping[str, Totals] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotedCommit:
    """A commit that a sink made for the claim of that number; ``offsets`` are the next ones of all its partitions."""

    claim: int
    sink: str
    number: int
    offsets: Mapping[TopicPartition, int]
    rows: int
    files: int
    size_bytes: int
    paths: Sequence[str]
    dead_letters: int


def totals(sink: str, commits: Iterable[NotedCommit]) -> Totals:
    """The sum over the commits of ``sink``."""
    made = [commit for commit in commits if commit.sink == sink]
    return Totals(
        rows=sum(commit.rows for commit in made),
        files=sum(commit.files for commit in made),
        size_bytes=sum(commit.size_bytes for commit in made),
        dead_letters=sum(commit.dead_letters for commit in made),
        first_commit=min((commit.number for commit in made), default=0),
        last_commit=max((commit.number for commit in made), default=0),
    )


def claim_document(claim: Claim) -> dict[str, Any]:
    """A finished claim needs no identities any more."""
    document: dict[str, Any] = {
        "number": claim.number,
        "sinks": {
            sink: [[*place, part.start, part.end] for place, part in ranges.items()]
            for sink, ranges in claim.sinks.items()
        },
    }
    if claim.done:
        return document | {"totals": {sink: list(asdict(total).values()) for sink, total in claim.totals.items()}}
    return document | {"topic_ids": dict(claim.topic_ids)}


def read_claim(run: str, document: Mapping[str, Any]) -> Claim:
    """What ``claim_document`` wrote."""
    sinks = {
        sink: {TopicPartition(topic, partition): OffsetRange(start, end) for topic, partition, start, end in ranges}
        for sink, ranges in document["sinks"].items()
    }
    if "totals" not in document:
        return Claim(run, document["number"], sinks, document["topic_ids"])
    found = {sink: Totals(*numbers) for sink, numbers in document["totals"].items()}
    return Claim(run, document["number"], sinks, done=True, totals=found)


def commit_document(commit: Commit) -> dict[str, Any]:
    """A commit as it is noted."""
    return {
        "offsets": [[*place, offset] for place, offset in commit.offsets.items()],
        "rows": commit.rows,
        "files": commit.files,
        "bytes": commit.size_bytes,
        "paths": list(commit.paths[:MAX_PATHS]),
        "dead_letters": len(commit.dead),
    }


def read_commit(claim: int, sink: str, number: int, document: Mapping[str, Any]) -> NotedCommit:
    """What ``commit_document`` wrote."""
    return NotedCommit(
        claim=claim,
        sink=sink,
        number=number,
        offsets={TopicPartition(topic, partition): offset for topic, partition, offset in document["offsets"]},
        rows=document["rows"],
        files=document["files"],
        size_bytes=document["bytes"],
        paths=tuple(document["paths"]),
        dead_letters=document["dead_letters"],
    )


def ends_document(offsets: Mapping[TopicPartition, int], topic_ids: Mapping[str, str]) -> list[list[Any]]:
    """With the topics' ids, so that offsets of a topic that was made anew are not taken for its own."""
    return [[*place, topic_ids.get(place.topic, ""), offset] for place, offset in offsets.items()]


def read_ends(document: Sequence[Sequence[Any]], topic_ids: Mapping[str, str]) -> dict[TopicPartition, int]:
    """What ``ends_document`` wrote, of the topics that are still the same."""
    return {
        TopicPartition(topic, partition): offset
        for topic, partition, topic_id, offset in document
        if topic_ids.get(topic) == topic_id
    }
