"""A data folder, opened: topics, their partitions, transactions, and the threads that keep them durable.

One process owns the folder for writing (``folder_lock``). What ``append`` promises is kept by the syncer;
what transactions promise by the coordinator; neither by the order in which anybody calls anything here.

Fail points: ``store.create-topic.folder``, ``.folders``, ``.listed``, ``store.alter-topic.folders``,
``store.delete-topic.unlisted``, ``.folder``, ``store.checkpoint.before``, ``.done``, ``store.close.closed``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TypeVar

from ingest.environment import Environment
from ingest.errors import Closed, FolderInvalid, IngestError
from ingest.log.catalogue import Catalogue, Topic, read_catalogue
from ingest.log.checkpoints import Checkpoints
from ingest.log.clean_shutdown import mark_clean, take_mark
from ingest.log.coordinator import Coordinator
from ingest.log.folder_lock import FolderLock
from ingest.log.housekeeping import Chore, Housekeeping
from ingest.log.identity import create_identity, read_identity
from ingest.log.partition import AppendInfo, PartitionLog
from ingest.log.positions import PositionTable
from ingest.log.storage_failure import storage
from ingest.log.sync import Syncer
from ingest.log.topic_config import TopicConfig
from ingest.log.topic_names import POSITIONS, TRANSACTION_STATE, folder_name, parse_folder_name
from ingest.log.topics import Topics
from ingest.log.unfinished import finish, read_books
from ingest.log.watchers import Watchers

CLEAN_EVERY_MS = 30_000
CHECKPOINT_EVERY_MS = 60_000

Place = tuple[str, int]
P = TypeVar("P", bound=Place)
Report = Callable[[str], None]


def _silent(_: str) -> None:
    """Reports to nobody."""


class LogStore:
    """Made by ``open``. All methods are thread-safe."""

    id: str

    def __init__(self, folder: Path, env: Environment, lock: FolderLock, report: Report) -> None:
        """Use ``open``."""
        self.folder = folder
        self.env = env
        self._lock = lock
        self._report = report
        self._closed = False
        self._checkpoints = Checkpoints(env.disk, folder)
        self.holds: Callable[[str, int], int | None] = lambda topic, partition: None
        """Retention keeps everything from this offset on; set by the hub, which knows its sinks."""

    @classmethod
    def open(
        cls, folder: Path, env: Environment | None = None, *, wait_ms: int = 0, report: Report = _silent
    ) -> LogStore:
        """Opens for writing; makes the folder if there is none. Finishes what a crash left undone.

        Waits up to ``wait_ms`` for another owner, then raises ``FolderLocked``. Raises ``FolderInvalid`` for a
        folder that is something else.
        """
        env = env or Environment()
        folder = folder.absolute()
        _make_folder(folder, env)
        store = cls(folder, env, FolderLock.take(folder, env.clock, wait_ms=wait_ms), report)
        try:
            store._open()
        except BaseException:
            store._lock.release()
            raise
        return store

    # --- topics

    @property
    def topics(self) -> Topics:
        """Look-ups; changes go through ``create_topic`` and its kind."""
        return self._topics

    def create_topic(self, name: str, partitions: int, config: Mapping[str, str]) -> Topic:
        self._check_open()
        return self._topics.create(name, partitions, config)

    def alter_topic(self, name: str, partitions: int | None, config: Mapping[str, str | None]) -> Topic:
        self._check_open()
        return self._topics.alter(name, partitions, config)

    def delete_topic(self, name: str) -> None:
        """Who waits for its records is told ``Closed``."""
        self._check_open()
        self._topics.delete(name, self._let_go)

    def partition(self, topic: str, partition: int) -> PartitionLog:
        """Raises ``TopicMissing``, or ``Closed``."""
        self._check_open()
        return self._topics.log(topic, partition)

    # --- records

    def append(self, log: PartitionLog, batches: Iterable[bytearray]) -> Future[AppendInfo]:
        """Appends batches that this process encodes; done when they are on disk.

        Raises what ``PartitionLog.append_all`` raises, or ``Closed``; later failures come through the future.
        """
        self._check_open()
        info = log.append_all(batches, now_ms=self.env.clock.now_ms(), kind="raw")
        return self._syncer.wait_for(log, info)

    def append_synced(self, log: PartitionLog, batches: Iterable[bytearray]) -> AppendInfo:
        """As ``append``, and returns when they are on disk: two switches between threads less."""
        self._check_open()
        info = log.append_all(batches, now_ms=self.env.clock.now_ms(), kind="raw")
        self._syncer.sync(log, info)
        return info

    def append_lazily(self, log: PartitionLog, batches: bytearray) -> None:
        """The same for what nobody waits for: on disk within 50 ms."""
        self._check_open()
        log.append(batches, now_ms=self.env.clock.now_ms(), kind="raw", check_crc=False)
        self._appended(log)

    def wait(self, positions: Mapping[P, int], timeout_ms: int) -> bool:
        """Blocks until a committed reader sees something at or after its position in one of the partitions."""
        logs = {self.partition(*place): offset for place, offset in positions.items()}
        deadline_ms = self.env.clock.monotonic_ms() + timeout_ms
        with self._watchers.watching(logs) as event:
            while True:
                event.clear()
                self._check_open()
                if any(log.last_stable_offset > offset for log, offset in logs.items()):
                    return True
                for log in logs:
                    self._hurry(log)
                left_ms = deadline_ms - self.env.clock.monotonic_ms()
                if left_ms <= 0:
                    return False
                self.env.clock.wait(event, left_ms)

    def delete_records(self, log: PartitionLog, before_offset: int) -> None:
        """Moves the log start; durable on return."""
        self._check_open()
        with self._topics.changing:
            log.delete_before(before_offset)
            self._checkpoints.write_log_starts(self._topics.logs())

    # --- transactions

    @property
    def transactions(self) -> Coordinator:
        self._check_open()
        return self._coordinator

    @property
    def positions(self) -> PositionTable:
        return self._coordinator.positions

    # --- housekeeping

    def clean(self) -> None:
        """Retention and compaction of every partition; called by the housekeeping thread.

        What fails in one partition keeps no other from its turn: the first failure is raised at the end. Retention
        comes first, for it makes room where compaction needs some.
        """
        now_ms = self.env.clock.now_ms()
        logs = [log for log in self._topics.logs() if log.topic != TRANSACTION_STATE]
        chores: list[Callable[[], object]] = [partial(self._retain, log, now_ms) for log in logs if log.config.deletes]
        chores += [partial(log.compact, now_ms) for log in logs if log.config.compacts]
        failed: IngestError | None = None
        chores.append(lambda: self._coordinator.compact().result())
        for chore in chores:
            try:
                chore()
            except Closed:  # deleted meanwhile
                continue
            except IngestError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def checkpoint(self) -> None:
        """Writes down what the next opening may skip; called by the housekeeping thread."""
        with self._topics.changing:
            self.env.fail.hit("store.checkpoint.before")
            self._checkpoints.write(self._topics.logs())
            self.env.fail.hit("store.checkpoint.done")

    def close(self) -> None:
        """Syncs, and marks a clean shutdown. Waiting readers get ``Closed``. Idempotent.

        Raises ``StorageFailed`` if the disk does not take it all; the folder is given up in any case.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._housekeeping.stop()
            self._watchers.wake_all()
            self._syncer.stop()
            self._coordinator.finish()
            with self._topics.changing:
                for log in self._topics.logs():
                    log.close()
                self._checkpoints.write(self._topics.logs())
                self._checkpoints.publish(self._topics.logs(), durable=True)
            self.env.fail.hit("store.close.closed")
            mark_clean(self.env.disk, self.folder)
        finally:
            self._let_everything_go()

    def abandon(self) -> None:
        """Lets go of the folder as the end of the process would: nothing is synced, nobody is told. For tests
        of crashes."""
        self._closed = True
        self._housekeeping.stop()
        self._syncer.die(Closed("the process ended"))
        self._watchers.wake_all()
        for log in self._topics.logs():
            log.close(clean=False)
        self._lock.drop()

    # --- inside

    def _open(self) -> None:
        self.id = read_identity(self.folder) or self._new_identity()
        clean = take_mark(self.env.disk, self.folder)
        recovery_points, log_starts = self._checkpoints.recovery_points(), self._checkpoints.log_starts()

        def open_log(topic: Topic, partition: int) -> PartitionLog:
            place = topic.name, partition
            return PartitionLog.open(
                self.folder / folder_name(*place),
                *place,
                TopicConfig.parse(topic.config, topic.name),
                self.env,
                clean=clean,
                recovery_point=recovery_points.pop(place, 0),
                log_start_offset=log_starts.pop(place, 0),
                report=self._report,
            )

        catalogue = read_catalogue(self.folder) or Catalogue()
        self._topics = Topics(self.folder, self.env, catalogue, open_log, self._checkpoints.drop, self._report)
        self._topics.tidy()
        self._topics.open_logs()
        self._topics.create_internal()
        self._start()

    def _start(self) -> None:
        state_log, positions_log = self._topics.log(TRANSACTION_STATE, 0), self._topics.log(POSITIONS, 0)
        books = read_books(state_log, positions_log)
        self._watchers = Watchers()
        self._coordinator = Coordinator(
            self.env,
            state_log,
            positions_log,
            books.writers,
            books.positions,
            last_transaction=books.last_transaction,
            appended=self._appended,
            changed=self._watchers.changed,
        )
        self._syncer = Syncer(self.env, self._coordinator, self._synced)
        self._coordinator.wake = self._syncer.wake
        chores = [
            Chore("writing what a disk had refused", 1_000, self._tick),
            Chore("retention and compaction", CLEAN_EVERY_MS, self.clean),
            Chore("writing the checkpoints", CHECKPOINT_EVERY_MS, self.checkpoint),
        ]
        self._housekeeping = Housekeeping(self.env, self._publish, chores, self._report, self._syncer.die)
        finish(self._coordinator, books, self._topics.logs_with_ids(), self._report)
        self._publish()
        self._syncer.start()
        self._housekeeping.start()

    def _new_identity(self) -> str:
        strangers = [
            path.name for path in self.folder.iterdir() if parse_folder_name(path.name) or path.suffix == ".log"
        ]
        if strangers:
            raise FolderInvalid(
                f"{self.folder} has no meta.properties, but holds {strangers[0]}",
                hint="name an empty folder, or restore meta.properties from a copy",
                path=str(self.folder),
            )
        return create_identity(self.folder, self.env.disk, self.env.random)

    def _appended(self, log: PartitionLog) -> None:
        self._syncer.appended(log)
        if self._watchers.is_watched(log):
            self._hurry(log)

    def _retain(self, log: PartitionLog, now_ms: int) -> None:
        log.retain(now_ms, self.holds(log.topic, log.partition))
        self._appended(log)

    def _hurry(self, log: PartitionLog) -> None:
        """Syncs ``log`` for a waiting reader, if that would show it anything."""
        starts = (first for _, first in log.open_transactions().values())
        if min([log.log_end_offset, *starts]) > log.high_watermark:
            self._syncer.hurry(log)

    def _synced(self, log: PartitionLog) -> None:
        self._watchers.changed(log)
        self._housekeeping.changed()

    def _tick(self) -> None:
        if self._coordinator.tick():
            self._syncer.hurry(self._coordinator.log)

    def _publish(self) -> None:
        with self._topics.changing:
            self._checkpoints.publish(self._topics.logs())

    def _let_go(self, log: PartitionLog) -> None:
        self._syncer.forget(log)
        self._coordinator.effects.forget(log)
        self._watchers.changed(log)

    def _let_everything_go(self) -> None:
        for log in self._topics.logs():
            with contextlib.suppress(IngestError):
                log.close(clean=False)
        self._lock.release()

    def _check_open(self) -> None:
        if self._closed:
            raise Closed(f"the data folder {self.folder} is closed")


def _make_folder(folder: Path, env: Environment) -> None:
    with storage(folder, "create"):
        if not folder.is_dir():
            folder.mkdir(parents=True)
            env.disk.sync_folder(folder.parent)
