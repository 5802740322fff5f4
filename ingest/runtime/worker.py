"""Runs one pipeline in this process: its tasks in threads, supervised.

A task that fails for good stops the others cleanly, and the run has failed. With ``until_caught_up`` the
sinks drain what the hub holds once all sources have ended, and the run is done.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ingest.connectors import Commit, SourceContext, SourceTask
from ingest.environment import Environment
from ingest.errors import IngestError, UsageError
from ingest.hub.contract import Hub
from ingest.hub.topic_formats import TopicFormats
from ingest.runtime.plan import Plan, SinkPlan, SourcePlan
from ingest.runtime.progress import Progress
from ingest.runtime.row_expressions import RowExpressions
from ingest.runtime.sink_account import SinkAccount
from ingest.runtime.sink_loop import SinkLoop
from ingest.runtime.source_batch import SourceBatches
from ingest.runtime.source_loop import SourceLoop
from ingest.runtime.start_warnings import start_warnings
from ingest.runtime.status_file import StatusFile
from ingest.runtime.supervised_task import ENDED, SupervisedTask
from ingest.runtime.task_setting import TaskSetting
from ingest.runtime.topics import Topics
from ingest.runtime.transform_chain import TransformChain

STOP_MS = 10_000
_TICK_MS = 100
_STATUS_MS = 1_000

WorkerState = Literal["new", "running", "stopping", "done", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. ``error`` is the first task's that failed; dead letters do not make a failure."""

    state: Literal["done", "stopped", "failed"]
    error: BaseException | None = None
    task: str | None = None
    records: int = 0
    dead_letters: int = 0

    @property
    def exit_code(self) -> int:
        """0, or 1 for a failure."""
        return 1 if self.state == "failed" else 0


class Worker:
    """``start`` begins the tasks, ``run`` waits for the end; other threads may stop, pause and look.

    ``status_folder`` is the hub's data folder: the status is written there each second. ``on_commit`` is described at
    ``TaskSetting``.
    """

    def __init__(
        self,
        hub: Hub,
        plan: Plan,
        env: Environment | None = None,
        *,
        until_caught_up: bool = False,
        report: Callable[[str], None] = lambda line: None,
        status_folder: Path | None = None,
        on_commit: Callable[[str, Commit], None] = lambda sink, commit: None,
    ) -> None:
        environment = env or Environment()
        self._setting = TaskSetting(hub, plan, environment, Topics(hub, plan, TopicFormats(hub)), on_commit)
        self._clock = environment.clock
        self._until_caught_up = until_caught_up
        self._report = report
        self._status_file = StatusFile(status_folder, plan.pipeline, environment.disk) if status_folder else None
        self._changed = threading.Event()
        self._draining = threading.Event()
        self._draining_letters = threading.Event()
        self._stop_by_ms: int | None = None
        self._stop_timeout_ms: int | None = None
        self._state: WorkerState = "new"
        self._started_ms = 0
        self._sources = [task for source in plan.sources for task in self._source_tasks(source)]
        self._sinks = [self._sink_task(sink) for sink in plan.sinks]
        self._letter_sinks = [
            task for task, sink in zip(self._sinks, plan.sinks, strict=True) if plan.errors_topic in sink.topics
        ]

        last_commits = self._status_file.last_commits() if self._status_file else {}
        for task in self.tasks:
            task.progress.last_commit_ms = last_commits.get(task.name)

    @property
    def tasks(self) -> list[SupervisedTask]:
        """All tasks, sources first."""
        return [*self._sources, *self._sinks]

    def start(self) -> None:
        """Makes the topics that the file names, and starts the tasks. Raises what the hub raises."""
        self._setting.topics.make_declared()
        for warning in start_warnings(self._setting.plan, self._setting.hub):
            self._report(warning)
        self._started_ms = self._clock.now_ms()
        self._state = "running"
        for task in self.tasks:
            task.start()

    def run(self) -> Outcome:
        """Starts if that has not been done; returns when all tasks have ended. Raises nothing of its own."""
        if self._state == "new":
            try:
                self.start()
            except IngestError as error:
                self._state = "failed"
                return Outcome("failed", error)
        written_ms: int | None = None
        while not self._ended():
            self._direct()
            now = self._clock.monotonic_ms()
            if written_ms is None or now - written_ms >= _STATUS_MS:
                written_ms = now
                self._write_status()
            self._clock.wait(self._changed, _TICK_MS)
            self._changed.clear()
        outcome = self._outcome()
        self._state = outcome.state
        self._write_status()
        return outcome

    def stop(self, timeout_ms: int = STOP_MS) -> None:
        """Asks for a clean end: ``run`` returns within ``timeout_ms``, when all is committed or not.

        Only sets a number, so it may be called from a signal handler, and from any thread.
        """
        self._stop_timeout_ms = timeout_ms

    def pause(self, name: str) -> None:
        """The task commits what is pending and waits. Raises ``UsageError`` for an unknown name."""
        self._named(name).pause()

    def resume(self, name: str) -> None:
        """The task goes on where it stands."""
        self._named(name).resume()

    def status(self) -> dict[str, Any]:
        """JSON values: the pipeline's state, and each task's state and numbers."""
        return {
            "pipeline": self._setting.plan.pipeline,
            "state": self._state,
            "pid": os.getpid(),
            "started_ms": self._started_ms,
            "updated_ms": self._clock.now_ms(),
            "until_caught_up": self._until_caught_up,
            "tasks": [task.as_status() for task in self.tasks],
        }

    # -- directing the tasks

    def _direct(self) -> None:
        """Once a tick: hands on a stop or a failure, and lets the sinks drain when the sources have ended."""
        if self._state == "running" and (self._stop_timeout_ms is not None or self._failed() is not None):
            self._state = "stopping"
            self._stop_by_ms = self._clock.monotonic_ms() + (self._stop_timeout_ms or STOP_MS)
            for task in self.tasks:
                task.request_stop()
        if self._until_caught_up and all(task.state == "done" for task in self._sources):
            self._drain()

    def _drain(self) -> None:
        """Sinks that read the dead letters drain last, for the others may still write some."""
        self._draining.set()
        others = [task for task in self._sinks if task not in self._letter_sinks]
        if all(task.state == "done" for task in others):
            self._draining_letters.set()

    def _ended(self) -> bool:
        if all(task.state in ENDED for task in self.tasks):
            return True
        return self._stop_by_ms is not None and self._clock.monotonic_ms() >= self._stop_by_ms

    def _failed(self) -> SupervisedTask | None:
        return next((task for task in self.tasks if task.state == "failed"), None)

    def _outcome(self) -> Outcome:
        records = sum(task.progress.records for task in self._sources or self._sinks)
        dead = sum(task.progress.dead_letters for task in self.tasks)
        failed = self._failed()
        if failed is not None:
            return Outcome("failed", failed.error, failed.name, records, dead)
        hanging = [task.name for task in self.tasks if task.state not in ENDED]
        if hanging:
            error = IngestError(f"{', '.join(hanging)} did not stop in time", hint="nothing is lost: run it again")
            return Outcome("failed", error, hanging[0], records, dead)
        done = all(task.state == "done" for task in self.tasks)
        return Outcome("done" if done else "stopped", None, None, records, dead)

    def _named(self, name: str) -> SupervisedTask:
        found = next((task for task in self.tasks if task.name == name), None)
        if found is None:
            raise UsageError(f"there is no task {name!r}", hint=f"known: {', '.join(t.name for t in self.tasks)}")
        return found

    def _write_status(self) -> None:
        if self._status_file is not None:
            self._status_file.write(self.status())

    # -- making the tasks

    def _source_tasks(self, source: SourcePlan) -> Iterator[SupervisedTask]:
        chain = TransformChain(source.transforms)
        rows = RowExpressions(source)
        count = 1 if source.tasks == 1 else len(source.connector.tasks(source.tasks))
        for number in range(count):
            suffix = f" {number + 1}" if count > 1 else ""
            progress = Progress(self._clock)
            run = partial(self._run_source, source, chain, rows, number, count, progress)
            yield self._supervised(f"source {source.name}{suffix}", run, source.retry, progress)

    def _sink_task(self, sink: SinkPlan) -> SupervisedTask:
        progress = Progress(self._clock)
        run = partial(self._run_sink, sink, SinkAccount(progress), progress)
        return self._supervised(f"sink {sink.name}", run, sink.retry, progress)

    def _supervised(self, name: str, run: Any, retry: Any, progress: Progress) -> SupervisedTask:
        return SupervisedTask(
            name,
            run,
            retry,
            progress,
            self._setting.environment,
            self._changed,
            self._report,
            waits_for_room=not self._until_caught_up,
        )

    def _run_source(
        self,
        source: SourcePlan,
        chain: TransformChain,
        rows: RowExpressions,
        number: int,
        count: int,
        progress: Progress,
        stopping: threading.Event,
    ) -> Literal["done", "stopped"]:
        task: SourceTask = source.connector.tasks(source.tasks)[number]
        context = SourceContext(
            name=source.name,
            base_folder=self._setting.plan.base_folder,
            environment=self._setting.environment,
            until_caught_up=self._until_caught_up,
            max_batch_bytes=source.max_batch_bytes,
            stopping=stopping,
            report=lambda sentence: self._report(f"source {source.name}: {sentence}"),
            topic=source.topic,
        )
        owner = self._setting.plan.source_owner(source.name)
        return SourceLoop(
            self._setting,
            task,
            SourceBatches(self._setting, source, chain, rows),
            context,
            progress,
            writer_name=owner if count == 1 else f"{owner}/{number + 1}",
        ).run()

    def _run_sink(
        self, sink: SinkPlan, account: SinkAccount, progress: Progress, stopping: threading.Event
    ) -> Literal["done", "stopped"]:
        task = sink.connector.task()
        letters = self._setting.plan.errors_topic in sink.topics
        draining = self._draining_letters if letters else self._draining
        return SinkLoop(
            self._setting,
            sink,
            task,
            account,
            progress,
            stopping=stopping,
            draining=draining,
            report=lambda sentence: self._report(f"sink {sink.name}: {sentence}"),
        ).run()
