"""One run of a pipeline under a name: it delivers a range of the log that is its own, however often it is tried.

First the sources are drained into the hub. Then the run claims what no run before it has claimed, and its sinks
deliver that and no more. An attempt that finds the claim goes on from where the sinks stand, and one that finds it
finished does nothing at all. See ``ingest.runtime.claims``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ingest.connectors import Commit, TopicPartition
from ingest.environment import Environment
from ingest.errors import FolderLocked, RunStopped
from ingest.hub.contract import Hub
from ingest.hub.embedded import EmbeddedHub
from ingest.pipelines.loader import Pipeline
from ingest.runtime.claim_records import Claim, NotedCommit
from ingest.runtime.claims import Claims
from ingest.runtime.delivery_reader import wants
from ingest.runtime.plan import Plan, SinkPlan
from ingest.runtime.worker import STOP_MS, Outcome, Worker

_TICK_S = 0.2
_LOCK_SLICE_MS = 1_000
"""A run that waits for another one on its hub looks this often whether it is to stop."""


@dataclass(frozen=True, slots=True)
class RangeResult:
    """``found_done``: an earlier attempt, or a later run, had finished it, and this one has changed nothing.

    ``commits`` are those of all claims that this run has finished, whoever made them: so each commit is in the result
    of one run. ``records_in`` and ``dead_in`` count what the sources have brought in now, and refused.
    """

    claim: Claim
    hub_id: str
    commits: Sequence[NotedCommit] = ()
    found_done: bool = False
    records_in: int = 0
    dead_in: int = 0

    def as_dict(self) -> dict[str, Any]:
        """JSON values: for each sink of the run's own claim its offsets, rows, files, and the first and last number
        of its commits."""
        return {
            "run": self.claim.run,
            "claim": self.claim.number,
            "found_done": self.found_done,
            "records_in": self.records_in,
            "dead_letters_in": self.dead_in,
            "sinks": {sink: self._sink(sink) for sink in self.claim.sinks},
        }

    def _sink(self, sink: str) -> dict[str, Any]:
        total = self.claim.totals[sink]
        return {
            "offsets": offsets_document(self.claim, sink),
            "rows": total.rows,
            "files": total.files,
            "bytes": total.size_bytes,
            "dead_letters": total.dead_letters,
            "commits": [total.first_commit, total.last_commit] if total.last_commit else [],
        }


def offsets_document(claim: Claim, sink: str) -> dict[str, dict[str, list[int]]]:
    """``{"topic": {"0": [from, to]}}``."""
    document: dict[str, dict[str, list[int]]] = {}
    for place, part in claim.sinks[sink].items():
        document.setdefault(place.topic, {})[str(place.partition)] = [part.start, part.end]
    return document


class RangeRun:
    """``run`` is called once, ``stop`` at any time, also from a signal handler.

    ``name`` tells this run from all others of the pipeline, and is the same at each attempt.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        name: str,
        environment: Environment | None = None,
        *,
        wait_ms: int = 0,
        stop_ms: int = STOP_MS,
        report: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._pipeline = pipeline
        self._name = name
        self._environment = environment or Environment()
        self._wait_ms = wait_ms
        self._stop_ms = stop_ms
        self._report = report
        self._stop_asked = False
        self._worker: Worker | None = None

    def run(self, tick: Callable[[], None] = lambda: None) -> RangeResult:
        """Blocks until the range is delivered, and calls ``tick`` a few times a second meanwhile.

        Raises the error of the first task that failed, ``RunStopped`` after ``stop``, or what opening the hub
        raises. Nothing is lost by any of them: the next attempt goes on.
        """
        with closing(self._open()) as hub:
            claims = Claims(hub, self._pipeline.plan.pipeline)
            claim = claims.of(self._name)
            if claim is not None and claim.done:
                self._report(f"{self._name} has finished before: nothing is done")
                return RangeResult(claim, hub.id, found_done=True)
            drained = None
            if claim is None:
                drained = self._drain(hub, tick)
                claim = claims.take(self._name, self._ends(hub))
            self._report(f"claim {claim.number}: {_told(claim)}")
            commits: list[NotedCommit] = []
            for unfinished in claims.unfinished(claim):
                self._deliver(hub, claims, unfinished, tick)
                commits += claims.commits(unfinished)
                claim = claims.finish(unfinished)
            hub.tidy()
            return RangeResult(
                claim,
                hub.id,
                commits,
                records_in=drained.records if drained else 0,
                dead_in=drained.dead_letters if drained else 0,
            )

    def stop(self) -> None:
        """Asks for a clean end: what is pending is committed, then ``run`` raises ``RunStopped``."""
        self._stop_asked = True

    def status(self) -> dict[str, Any] | None:
        """What is running now, as JSON values; None before and between."""
        return None if self._worker is None else self._worker.status()

    def _open(self) -> EmbeddedHub:
        clock = self._environment.clock
        deadline_ms = clock.monotonic_ms() + self._wait_ms
        told = False
        while True:
            left_ms = max(0, deadline_ms - clock.monotonic_ms())
            try:
                return EmbeddedHub.open(
                    Path(self._pipeline.hub),
                    self._environment,
                    wait_ms=min(left_ms, _LOCK_SLICE_MS),
                    report=self._report,
                )
            except FolderLocked as error:
                self._check_stop()
                if left_ms <= 0:
                    raise
                if not told:
                    self._report(f"waiting for the hub: {error.message}")
                told = True

    def _drain(self, hub: Hub, tick: Callable[[], None]) -> Outcome | None:
        """Brings in what the sources have."""
        plan = replace(self._pipeline.plan, sinks=())
        return self._work(hub, plan, tick) if plan.sources else None

    def _ends(self, hub: Hub) -> dict[str, dict[TopicPartition, int]]:
        plan = self._pipeline.plan
        return {sink.name: dict(_visible(hub, plan, sink)) for sink in plan.sinks}

    def _deliver(self, hub: Hub, claims: Claims, claim: Claim, tick: Callable[[], None]) -> None:
        if claim.run != self._name:
            self._report(f"claim {claim.number} of {claim.run} was left unfinished: it is finished first")
        plan = self._bounded(hub, claim)
        if plan.sinks:
            self._work(hub, plan, tick, lambda sink, commit: claims.note(claim, sink, commit))

    def _bounded(self, hub: Hub, claim: Claim) -> Plan:
        """The sinks that have something to deliver, up to the end of ``claim``."""
        plan = self._pipeline.plan
        for name in claim.sinks.keys() - {sink.name for sink in plan.sinks}:
            self._report(f"the pipeline has no sink {name} any more: its part of claim {claim.number} stays in the hub")
        present = {topic.name: topic.id for topic in hub.topics()}
        sinks = []
        for sink in plan.sinks:
            until = {
                place: part.end
                for place, part in claim.sinks.get(sink.name, {}).items()
                if part.start < part.end and claim.topic_ids[place.topic] == present.get(place.topic)
            }
            if until:
                sinks.append(replace(sink, until=until))
        return replace(plan, sources=(), sinks=sinks)

    def _work(
        self,
        hub: Hub,
        plan: Plan,
        tick: Callable[[], None],
        on_commit: Callable[[str, Commit], None] = lambda sink, commit: None,
    ) -> Outcome:
        """Runs ``plan`` to its end."""
        self._check_stop()
        worker = self._worker = Worker(
            hub,
            plan,
            self._environment,
            until_caught_up=True,
            report=self._report,
            status_folder=Path(self._pipeline.hub),
            on_commit=on_commit,
        )
        outcome = self._watch(worker, tick)
        if outcome.error is not None:
            raise outcome.error
        if outcome.state != "done":
            raise RunStopped(f"{self._name} was stopped", hint="nothing is lost: the next attempt goes on")
        return outcome

    def _check_stop(self) -> None:
        if self._stop_asked:
            raise RunStopped(f"{self._name} was stopped", hint="nothing is lost: the next attempt goes on")

    def _watch(self, worker: Worker, tick: Callable[[], None]) -> Outcome:
        """The worker runs in a thread of its own, so that this one hears of signals."""
        outcomes: list[Outcome] = []
        thread = threading.Thread(target=lambda: outcomes.append(worker.run()), name="range", daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                if self._stop_asked:
                    worker.stop(self._stop_ms)
                thread.join(_TICK_S)
                tick()
        finally:
            # an error that came from outside, such as a timeout's, must not leave a run behind
            worker.stop(self._stop_ms)
            thread.join()
        return outcomes[0]


def _visible(hub: Hub, plan: Plan, sink: SinkPlan) -> Iterator[tuple[TopicPartition, int]]:
    """Where each partition that the sink reads ends for a reader now."""
    for topic in hub.topics():
        if wants(sink, topic, plan.errors_topic):
            for partition in range(topic.partitions):
                place = TopicPartition(topic.name, partition)
                yield place, hub.end_offset(*place)


def _told(claim: Claim) -> str:
    """The ranges in words, empty ones left out."""
    parts = [
        f"{sink} {place.topic}-{place.partition} [{part.start}, {part.end})"
        for sink, ranges in claim.sinks.items()
        for place, part in ranges.items()
        if part.start < part.end
    ]
    return ", ".join(parts) or "there is nothing to deliver"
