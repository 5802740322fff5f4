"""The thread that makes appended bytes durable: group commit.

One sync serves all who wait for a partition; the next one starts when the last has ended, with no timer
for those who wait. What nobody waits for is synced within ``IDLE_SYNC_MS``. Commits of transactions ride
along as a second stage: their data is synced in the same round, then the stage decides them together.
A caller that does nothing but wait may sync in its own thread: two switches between threads less.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from ingest.environment import Environment
from ingest.errors import Closed, IngestError, StorageFailed
from ingest.log.partition import AppendInfo, PartitionLog

IDLE_SYNC_MS = 50
_FOREVER_MS = 3_600_000

Failures = Mapping[PartitionLog, IngestError]


class Stage(Protocol):
    """What happens after the data is on disk; called within a round, of which there is one at a time, but for
    ``waiting``."""

    def waiting(self) -> bool:
        """Whether there is something to take."""
        ...

    def take(self) -> Sequence[Any]:
        """The jobs that wait now."""
        ...

    def logs_of(self, jobs: Sequence[Any]) -> Collection[PartitionLog]:
        """Whose bytes must be on disk before the jobs can be settled."""
        ...

    def settle(self, jobs: Sequence[Any], failures: Failures) -> None:
        """Settles the jobs; ``failures`` are the syncs of this round that failed."""
        ...

    def synced(self, log: PartitionLog, failure: IngestError | None) -> None:
        """After each sync of ``log``."""
        ...

    def give_up(self, jobs: Sequence[Any], fault: BaseException) -> None:
        """The thread ends: the jobs it had taken, and all that wait, fail with ``fault``."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiter:
    log: PartitionLog
    appended: AppendInfo
    future: Future[AppendInfo]

    def settle(self, failure: IngestError | None) -> None:
        """Tells how it ended."""
        if not self.future.set_running_or_notify_cancel():
            return
        lost = _lost(self.log, self.appended, failure)
        if lost is None:
            self.future.set_result(self.appended)
        else:
            self.future.set_exception(lost)

    def fail(self, fault: BaseException) -> None:
        """Tells who has no answer yet."""
        if not self.future.done() and self.future.set_running_or_notify_cancel():
            self.future.set_exception(fault)


def _lost(log: PartitionLog, appended: AppendInfo, failure: IngestError | None) -> IngestError | None:
    """Truth is in the log: the bytes count as stored if they were synced and not cut since."""
    if log.cuts == appended.cuts and log.high_watermark > appended.last_offset:
        return None
    return failure or StorageFailed(
        f"what was appended to {log.topic}-{log.partition} could not be brought to disk",
        topic=log.topic,
        partition=log.partition,
        path=str(log.folder),
    )


class Syncer:
    """Owns all syncs of a store's partitions while it runs. Thread-safe."""

    def __init__(self, env: Environment, stage: Stage, changed: Callable[[PartitionLog], None]) -> None:
        """``changed`` is called, within a round, when a partition's high watermark has moved."""
        self._env = env
        self._stage = stage
        self._changed = changed
        self._lock = threading.Lock()
        self._in_round = threading.Lock()
        self._wake = threading.Event()
        self._waiters: list[_Waiter] = []
        self._hurried: set[PartitionLog] = set()
        self._dirty_since: dict[PartitionLog, int] = {}
        self._stopping = False
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ingest-sync", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def appended(self, log: PartitionLog) -> None:
        """``log`` has bytes that are not on disk: they will be, within ``IDLE_SYNC_MS``."""
        if log in self._dirty_since:
            return
        with self._lock:
            start_timer = not self._dirty_since
            self._dirty_since.setdefault(log, self._env.clock.monotonic_ms())
        if start_timer:
            self._wake.set()

    def wait_for(self, log: PartitionLog, appended: AppendInfo) -> Future[AppendInfo]:
        """Done when what was appended is on disk; fails with ``StorageFailed`` if it was cut."""
        future: Future[AppendInfo] = Future()
        with self._lock:
            if ended := self._ended():
                future.set_exception(ended)
                return future
            self._waiters.append(_Waiter(log, appended, future))
        self._wake.set()
        return future

    def sync(self, log: PartitionLog, appended: AppendInfo) -> None:
        """Returns when what was appended is on disk; raises what ``wait_for`` fails with. Unless a round is under way
        ``log`` is synced in the caller's thread."""
        if not self._in_round.acquire(blocking=False):
            self.wait_for(log, appended).result()
            return
        try:
            with self._lock:
                ended = self._ended()
            lost = ended or _lost(log, appended, self._round_for(log))
        except BaseException as fault:
            self._give_up(fault)
            self._wake.set()
            raise
        finally:
            self._in_round.release()
        if lost is not None:
            raise lost

    def hurry(self, log: PartitionLog) -> None:
        """A reader waits: sync ``log`` at once."""
        with self._lock:
            self._hurried.add(log)
        self._wake.set()

    def wake(self) -> None:
        """The stage has something waiting. Raises ``Closed`` once the thread has stopped taking it."""
        if self._fault is not None:
            raise Closed("the hub has failed; open it again") from self._fault
        if self._stopping:
            raise Closed("the hub is closed")
        self._wake.set()

    def forget(self, log: PartitionLog) -> None:
        """``log`` is being deleted: who still waits for it is told so."""
        with self._lock:
            gone = [waiter for waiter in self._waiters if waiter.log is log]
            self._waiters = [waiter for waiter in self._waiters if waiter.log is not log]
            self._hurried.discard(log)
            self._dirty_since.pop(log, None)
        for waiter in gone:
            waiter.fail(Closed(f"topic {log.topic} was deleted", topic=log.topic))

    def stop(self) -> None:
        """Syncs and settles what waits, then ends the thread. Idempotent."""
        self._stopping = True
        self._wake.set()
        self._thread.join()
        with self._in_round:  # one in a caller's thread may still be under way
            return

    def die(self, fault: BaseException) -> None:
        """Ends the thread without syncing anything; all who wait fail with ``fault``. For crash tests."""
        with self._lock:
            self._fault = self._fault or fault
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not (self._stopping and self._is_idle()):
                self._sleep()
                if self._fault is not None:
                    raise self._fault
                with self._in_round:
                    self._round()
        except BaseException as fault:  # also what a test raises at a fail point: nobody may hang on it
            self._give_up(fault)

    def _is_idle(self) -> bool:
        return not (self._waiters or self._hurried or self._dirty_since or self._stage.waiting())

    def _sleep(self) -> None:
        urgent = self._stopping or self._waiters or self._hurried or self._stage.waiting()
        if not urgent:
            self._env.clock.wait(self._wake, self._next_due_ms())
        self._wake.clear()

    def _next_due_ms(self) -> int:
        with self._lock:
            oldest = min(self._dirty_since.values(), default=None)
        if oldest is None:
            return _FOREVER_MS
        return max(0, oldest + IDLE_SYNC_MS - self._env.clock.monotonic_ms())

    def _ended(self) -> BaseException | None:
        """Why nothing can be waited for any more."""
        if self._fault is None and not self._stopping:
            return None
        return self._fault or Closed("the hub was closed before the records were on disk")

    def _round_for(self, log: PartitionLog) -> IngestError | None:
        """Of one partition alone."""
        with self._lock:
            waiters = [waiter for waiter in self._waiters if waiter.log is log]
            if waiters:
                self._waiters = [waiter for waiter in self._waiters if waiter.log is not log]
            self._hurried.discard(log)
            self._dirty_since.pop(log, None)
        try:
            failure = self._sync(log)
        except BaseException as fault:
            for waiter in waiters:
                waiter.fail(fault)
            raise
        for waiter in waiters:
            waiter.settle(failure)
        return failure

    def _round(self) -> None:
        jobs = self._stage.take()
        waiters: list[_Waiter] = []
        try:
            waiters, targets = self._take_targets(self._stage.logs_of(jobs))
            failures = {log: failure for log in targets if (failure := self._sync(log)) is not None}
            for waiter in waiters:
                waiter.settle(failures.get(waiter.log))
            self._stage.settle(jobs, failures)
        except BaseException as fault:
            for waiter in waiters:
                waiter.fail(fault)
            self._stage.give_up(jobs, fault)
            raise

    def _take_targets(self, wanted: Collection[PartitionLog]) -> tuple[list[_Waiter], list[PartitionLog]]:
        due_before = self._env.clock.monotonic_ms() - IDLE_SYNC_MS
        with self._lock:
            waiters, self._waiters = self._waiters, []
            hurried, self._hurried = self._hurried, set()
            due = [log for log, since in self._dirty_since.items() if self._stopping or since <= due_before]
            targets = list(dict.fromkeys([*(waiter.log for waiter in waiters), *hurried, *due, *wanted]))
            for log in targets:
                # Before the sync: what is appended while it runs is dirty again.
                self._dirty_since.pop(log, None)
        return waiters, targets

    def _sync(self, log: PartitionLog) -> IngestError | None:
        failure: IngestError | None = None
        try:
            log.sync()
        except IngestError as error:
            failure = error
        self._stage.synced(log, failure)
        self._changed(log)
        return failure

    def _give_up(self, fault: BaseException) -> None:
        with self._lock:
            self._fault = self._fault or fault
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.fail(fault)
        self._stage.give_up([], fault)
