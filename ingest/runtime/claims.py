"""Ranges of the log bound to runs: who works on which offsets, committed in the hub before the work begins.

A scheduler starts a run under a name that is the same at every attempt. The run claims, for each sink and partition,
the offsets from where the claims before it ended to where the log ends now. An attempt that finds its claim goes on
with it; one that finds it finished has nothing to do. Claims of one pipeline are numbered and worked on in that order,
since a sink's target knows one offset per partition: a claim that somebody has left unfinished is finished by the next
run that comes.

Kept as positions, drawn in docs/formats/internal-topics.md. Why it is so: docs/decisions/airflow-ranges.md.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ingest.connectors import Commit, TopicPartition
from ingest.hub.contract import Hub

MAX_PATHS = 1_000
"""So many files of a commit are noted by name; all are counted."""

_HEAD = "head"


class OffsetRange(NamedTuple):
    """Half-open."""

    start: int
    end: int


Ranges = Mapping[TopicPartition, OffsetRange]


@dataclass(frozen=True, slots=True)
class Claim:
    """``number`` counts the claims of a pipeline from 1; ``sinks`` holds the ranges by sink; ``topic_ids`` tell the
    topics from later ones of the same names."""

    run: str
    number: int
    sinks: Mapping[str, Ranges]
    topic_ids: Mapping[str, str] = field(default_factory=dict)
    done: bool = False


@dataclass(frozen=True, slots=True)
class NotedCommit:
    """A commit that a sink made for a claim; ``offsets`` are the next offsets of all its partitions."""

    sink: str
    number: int
    offsets: Mapping[TopicPartition, int]
    rows: int
    files: int
    size_bytes: int
    paths: Sequence[str]
    dead_letters: int


class Claims:
    """The claims of one pipeline on one hub. Made anew by each run: that fences the runs before it, whose next
    write here fails with ``Fenced``. Thread-safe."""

    def __init__(self, hub: Hub, pipeline: str) -> None:
        self._hub = hub
        self._pipeline = pipeline
        self._owner = f"{pipeline}/ranges/claims"
        self._writer = hub.register_writer(f"{pipeline}/ranges")
        self._lock = threading.Lock()

    def of(self, run: str) -> Claim | None:
        """The claim of the run with that name, if it has one."""
        stored = self._hub.positions(self._owner).get(_stream(run))
        return None if stored is None else _claim(run, stored)

    def take(self, run: str, ends: Mapping[str, Mapping[TopicPartition, int]]) -> Claim:
        """Claims, for each sink, what lies before ``ends`` and is not claimed yet. On disk on return."""
        stored = self._hub.positions(self._owner)
        head = stored.get(_HEAD, {"number": 0, "unfinished": [], "ends": {}})
        topic_ids = {topic.name: topic.id for topic in self._hub.topics()}
        claimed = {sink: _offsets(ranges, topic_ids) for sink, ranges in head["ends"].items()}
        sinks = {sink: self._unclaimed(sink, places, claimed.get(sink, {})) for sink, places in ends.items()}
        for sink, ranges in sinks.items():
            claimed.setdefault(sink, {}).update({place: part.end for place, part in ranges.items()})
        used = {place.topic: topic_ids[place.topic] for ranges in sinks.values() for place in ranges}
        claim = Claim(run, head["number"] + 1, sinks, used)
        head = {
            "number": claim.number,
            "unfinished": [*head["unfinished"], run],
            "ends": {sink: _by_topic(offsets, topic_ids) for sink, offsets in claimed.items()},
        }
        self._write({self._owner: {_HEAD: head, _stream(run): _stored(claim)}})
        return claim

    def unfinished(self, last: Claim) -> list[Claim]:
        """What is to be done up to ``last``, in order."""
        head = self._hub.positions(self._owner).get(_HEAD, {"unfinished": []})
        found = [claim for run in head["unfinished"] if (claim := self.of(run)) is not None]
        return sorted((claim for claim in found if claim.number <= last.number), key=lambda claim: claim.number)

    def note(self, claim: Claim, sink: str, commit: Commit) -> None:
        """Keeps ``commit`` with ``claim`` if it is a part of it; told twice it counts once."""
        ranges = claim.sinks.get(sink, {})
        if not any(part.start < commit.offsets.get(place, 0) <= part.end for place, part in ranges.items()):
            return
        noted = {
            "offsets": _by_topic(commit.offsets, claim.topic_ids),
            "rows": commit.rows,
            "files": commit.files,
            "bytes": commit.size_bytes,
            "paths": list(commit.paths[:MAX_PATHS]),
            "dead_letters": len(commit.dead),
        }
        self._write({self._commits_owner(claim): {f"{sink}/{commit.number}": noted}})

    def commits(self, claim: Claim) -> list[NotedCommit]:
        """What was noted of ``claim``, by sink and number."""
        found = self._hub.positions(self._commits_owner(claim))
        return sorted((_noted(stream, stored) for stream, stored in found.items()), key=lambda at: (at.sink, at.number))

    def finish(self, claim: Claim) -> Claim:
        """All of it is in the targets. On disk on return."""
        done = replace(claim, done=True)
        head = dict(self._hub.positions(self._owner)[_HEAD])
        head["unfinished"] = [run for run in head["unfinished"] if run != claim.run]
        self._write({self._owner: {_HEAD: head, _stream(claim.run): _stored(done)}})
        return done

    def _unclaimed(
        self, sink: str, ends: Mapping[TopicPartition, int], claimed: Mapping[TopicPartition, int]
    ) -> Ranges:
        """A sink that has run without claims stands where its group does; what retention took is no part either."""
        reported = self._hub.group_offsets(f"{self._pipeline}.{sink}")
        ranges = {}
        for place, end in ends.items():
            start = max(claimed.get(place, 0), reported.get(place, 0), self._hub.start_offset(*place))
            ranges[place] = OffsetRange(min(start, end), end)
        return ranges

    def _commits_owner(self, claim: Claim) -> str:
        return f"{self._pipeline}/ranges/{claim.number}"

    def _write(self, changes: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        with self._lock:
            transaction = self._hub.transaction(self._writer)
            try:
                for owner, streams in changes.items():
                    transaction.put_positions(owner, streams)
                transaction.commit().result()
            except Exception:
                transaction.abort()
                raise


def _stream(run: str) -> str:
    return f"run/{run}"


def _stored(claim: Claim) -> dict[str, Any]:
    return {
        "number": claim.number,
        "done": claim.done,
        "topic_ids": dict(claim.topic_ids),
        "sinks": {
            sink: [[*place, part.start, part.end] for place, part in ranges.items()]
            for sink, ranges in claim.sinks.items()
        },
    }


def _claim(run: str, stored: Mapping[str, Any]) -> Claim:
    sinks = {
        sink: {TopicPartition(topic, partition): OffsetRange(start, end) for topic, partition, start, end in ranges}
        for sink, ranges in stored["sinks"].items()
    }
    return Claim(run, stored["number"], sinks, stored["topic_ids"], stored["done"])


def _by_topic(offsets: Mapping[TopicPartition, int], topic_ids: Mapping[str, str]) -> list[list[Any]]:
    """With the topic's id, so that offsets of a topic that was made anew are not taken for its own."""
    return [[*place, topic_ids.get(place.topic, ""), offset] for place, offset in offsets.items()]


def _offsets(stored: Sequence[Sequence[Any]], topic_ids: Mapping[str, str]) -> dict[TopicPartition, int]:
    return {
        TopicPartition(topic, partition): offset
        for topic, partition, topic_id, offset in stored
        if topic_ids.get(topic) == topic_id
    }


def _noted(stream: str, stored: Mapping[str, Any]) -> NotedCommit:
    sink, _, number = stream.rpartition("/")
    offsets = {TopicPartition(topic, partition): offset for topic, partition, _, offset in stored["offsets"]}
    return NotedCommit(
        sink=sink,
        number=int(number),
        offsets=offsets,
        rows=stored["rows"],
        files=stored["files"],
        size_bytes=stored["bytes"],
        paths=tuple(stored["paths"]),
        dead_letters=stored["dead_letters"],
    )
