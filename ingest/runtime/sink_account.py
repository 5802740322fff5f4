"""What a sink has taken and what became of it, counted once however often it was tried."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass

from ingest.connectors import Commit, Delivery, Standing, TopicPartition
from ingest.runtime.progress import Progress, Settled


@dataclass(frozen=True, slots=True)
class _Put:
    """One delivery, as far as counting goes."""

    end: int
    rows: int
    filtered: int
    refused: int
    size_bytes: int


class SinkAccount:
    """Outlives the attempts of a sink. What was put counts once a commit covers it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._put: defaultdict[TopicPartition, deque[_Put]] = defaultdict(deque)
        self._number: int | None = None

    def opened(self, standing: Standing | None) -> None:
        """An attempt begins. A commit that the one before made without hearing of it counts now; the rest of what
        was put will be put again."""
        last = standing.last if standing is not None else None
        if last is not None and self._number is not None and last.number > self._number:
            self.committed(last)
        self._number = last.number if last is not None else 0
        self._put.clear()
        self._progress.pending = 0

    def put(self, delivery: Delivery) -> None:
        """The sink has taken a delivery."""
        rows = sum(map(len, delivery.records))
        size_bytes = sum(records.nbytes for records in delivery.records)
        taken = _Put(delivery.end, rows, delivery.filtered, len(delivery.dead), size_bytes)
        self._put[TopicPartition(delivery.topic, delivery.partition)].append(taken)
        self._progress.pending += rows
        self._progress.moved(rows + delivery.filtered + len(delivery.dead), size_bytes)

    def committed(self, commit: Commit) -> None:
        """A commit is in the target."""
        done = [put for place, end in commit.offsets.items() for put in self._covered(place, end)]
        rows = sum(put.rows for put in done)
        filtered = sum(put.filtered for put in done)
        refused = sum(put.refused for put in done)
        self._number = commit.number
        self._progress.pending -= rows
        self._progress.committed(
            Settled(
                records=rows + filtered + refused,
                # The commit's dead letters are those of transforms and the sink's own.
                written=rows - (len(commit.dead) - refused) - commit.filtered,
                filtered=filtered + commit.filtered,
                dead_letters=len(commit.dead),
                size_bytes=sum(put.size_bytes for put in done),
            )
        )

    def _covered(self, place: TopicPartition, end: int) -> list[_Put]:
        puts = self._put[place]
        covered = []
        while puts and puts[0].end <= end:
            covered.append(puts.popleft())
        return covered
