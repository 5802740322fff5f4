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
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ingest.connectors import Commit, TopicPartition
from ingest.hub.contract import Hub
from ingest.runtime.claim_records import (
    Claim,
    NotedCommit,
    OffsetRange,
    Ranges,
    claim_document,
    commit_document,
    ends_document,
    read_claim,
    read_commit,
    read_ends,
    totals,
)

PAGE = 64
"""So many finished claims share a record: there will be tens of thousands, and a hub that opens reads all records."""

_HEAD = "head"
_NO_HEAD: Mapping[str, Any] = {"number": 0, "unfinished": [], "ends": {}}

Changes = dict[str, dict[str, Mapping[str, Any] | None]]


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
        stored = self._hub.positions(self._owner)
        unfinished = stored.get(_open_stream(run))
        if unfinished is not None:
            return read_claim(run, unfinished)
        pages = (page["claims"] for stream, page in stored.items() if stream.startswith("done/"))
        return next((read_claim(run, page[run]) for page in pages if run in page), None)

    def take(self, run: str, ends: Mapping[str, Mapping[TopicPartition, int]]) -> Claim:
        """Claims, for each sink, what lies before ``ends`` and is not claimed yet. On disk on return."""
        head = self._head()
        topic_ids = {topic.name: topic.id for topic in self._hub.topics()}
        claimed = {sink: read_ends(document, topic_ids) for sink, document in head["ends"].items()}
        sinks = {sink: self._unclaimed(sink, places, claimed.get(sink, {})) for sink, places in ends.items()}
        for sink, ranges in sinks.items():
            claimed.setdefault(sink, {}).update({place: part.end for place, part in ranges.items()})
        used = {place.topic: topic_ids[place.topic] for ranges in sinks.values() for place in ranges}
        claim = Claim(run, head["number"] + 1, sinks, used)
        head = {
            "number": claim.number,
            "unfinished": [*head["unfinished"], run],
            "ends": {sink: ends_document(offsets, topic_ids) for sink, offsets in claimed.items()},
        }
        self._write({self._owner: {_HEAD: head, _open_stream(run): claim_document(claim)}})
        return claim

    def unfinished(self, last: Claim) -> list[Claim]:
        """What is to be done up to ``last``, in order."""
        found = [claim for run in self._head()["unfinished"] if (claim := self.of(run)) is not None]
        return sorted((claim for claim in found if claim.number <= last.number), key=lambda claim: claim.number)

    def note(self, claim: Claim, sink: str, commit: Commit) -> None:
        """Keeps ``commit`` with ``claim`` if it is a part of it; told twice it counts once."""
        ranges = claim.sinks.get(sink, {})
        if any(part.start < commit.offsets.get(place, 0) <= part.end for place, part in ranges.items()):
            self._write({self._commits_owner(claim): {f"{sink}/{commit.number}": commit_document(commit)}})

    def commits(self, claim: Claim) -> list[NotedCommit]:
        """What was noted of an unfinished claim, by sink and number."""
        found = []
        for stream, document in self._hub.positions(self._commits_owner(claim)).items():
            sink, _, number = stream.rpartition("/")
            found.append(read_commit(claim.number, sink, int(number), document))
        return sorted(found, key=lambda commit: (commit.sink, commit.number))

    def finish(self, claim: Claim) -> Claim:
        """All of it is in the targets: its commits are summed up. On disk on return."""
        commits = self.commits(claim)
        done = replace(claim, done=True, totals={sink: totals(sink, commits) for sink in claim.sinks})
        head = dict(self._head())
        head["unfinished"] = [run for run in head["unfinished"] if run != claim.run]
        page = f"done/{claim.number // PAGE}"
        others = self._hub.positions(self._owner).get(page, {"claims": {}})["claims"]
        self._write(
            {
                self._owner: {
                    _HEAD: head,
                    _open_stream(claim.run): None,
                    page: {"claims": {**others, claim.run: claim_document(done)}},
                },
                self._commits_owner(claim): {f"{commit.sink}/{commit.number}": None for commit in commits},
            }
        )
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

    def _head(self) -> Mapping[str, Any]:
        return self._hub.positions(self._owner).get(_HEAD, _NO_HEAD)

    def _commits_owner(self, claim: Claim) -> str:
        return f"{self._pipeline}/ranges/{claim.number}"

    def _write(self, changes: Changes) -> None:
        with self._lock:
            transaction = self._hub.transaction(self._writer)
            try:
                for owner, streams in changes.items():
                    if streams:
                        transaction.put_positions(owner, streams)
                transaction.commit().result()
            except Exception:
                transaction.abort()
                raise


def _open_stream(run: str) -> str:
    return f"open/{run}"
