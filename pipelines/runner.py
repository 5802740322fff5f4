"""Runs pipelines: one hub for all that share its folder, a worker for each pipeline, a clean stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from ingest.environment import Environment
from ingest.errors import ConfigError
from ingest.hub.contract import Hub
from ingest.hub.embedded import EmbeddedHub
from ingest.pipelines.loader import Pipeline
from ingest.runtime.worker import Outcome, Worker

_TICK_S = 0.2


class Runner:
    """Runs ``pipelines`` until they end, fail or are stopped. ``run`` is called once; ``stop`` (also from a signal
    handler) and ``status`` at any time, by any thread."""

    def __init__(
        self,
        pipelines: Sequence[Pipeline],
        environment: Environment,
        *,
        until_caught_up: bool = False,
        wait_ms: int = 0,
        report: Callable[[str], None] = lambda message: None,
    ) -> None:
        self.pipelines = pipelines
        self._environment = environment
        self._until_caught_up = until_caught_up
        self._wait_ms = wait_ms
        self._report = report
        self._workers: list[Worker] = []
        self._stop_asked = False
        self._refuse_namesakes()

    def run(self, tick: Callable[[], None] = lambda: None) -> list[Outcome]:
        """Blocks until all pipelines have ended, and calls ``tick`` a few times a second meanwhile.

        One that fails stops the others. Raises what opening a hub raises.
        """
        with ExitStack() as stack:
            hubs = {folder: stack.enter_context(self._open(folder)) for folder in {p.hub for p in self.pipelines}}
            self._workers = [self._worker(hubs[pipeline.hub], pipeline) for pipeline in self.pipelines]
            outcomes: list[Outcome] = []
            threads = [
                threading.Thread(
                    target=self._run_one,
                    args=(worker, pipeline.plan.pipeline, outcomes),
                    name=f"pipeline-{index}",
                    daemon=True,
                )
                for index, (worker, pipeline) in enumerate(zip(self._workers, self.pipelines, strict=True))
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    if self._stop_asked:
                        self._stop_all()
                    thread.join(_TICK_S)
                    tick()
            if self._until_caught_up and all(outcome.exit_code == 0 for outcome in outcomes):
                for hub in hubs.values():
                    hub.tidy()
            return outcomes

    def stop(self) -> None:
        """Asks for a clean stop: what is pending is committed, then ``run`` returns."""
        self._stop_asked = True

    def status(self) -> list[dict[str, Any]]:
        """The workers' states as JSON values."""
        return [worker.status() for worker in self._workers]

    def _open(self, folder: str) -> Any:
        hub = EmbeddedHub.open(Path(folder), self._environment, wait_ms=self._wait_ms, report=self._report)
        return closing(hub)

    def _worker(self, hub: Hub, pipeline: Pipeline) -> Worker:
        return Worker(
            hub,
            pipeline.plan,
            self._environment,
            until_caught_up=self._until_caught_up,
            report=self._report,
            status_folder=Path(pipeline.hub),
        )

    def _run_one(self, worker: Worker, name: str, outcomes: list[Outcome]) -> None:
        try:
            outcome = worker.run()
        except BaseException as error:
            # Nobody above this frame would hear of it, and the run would seem to have gone well.
            outcome = Outcome("failed", error, name)
        outcomes.append(outcome)
        if outcome.state == "failed":
            self._stop_all()

    def _stop_all(self) -> None:
        for worker in self._workers:
            worker.stop()

    def _refuse_namesakes(self) -> None:
        names = [(pipeline.hub, pipeline.plan.pipeline) for pipeline in self.pipelines]
        for hub, name in names:
            if names.count((hub, name)) > 1:
                raise ConfigError(f"two pipelines on the hub {hub} are named {name}")
