"""The hub in a data folder of this machine, in this process: no socket, no copy between log and columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from ingest.connectors import Records, TopicPartition
from ingest.environment import Environment
from ingest.errors import TransactionInvalid
from ingest.hub.contract import Appended, Fetched, Hub, HubTransaction, TopicInfo, Writer
from ingest.hub.embedded_transaction import EmbeddedTransaction
from ingest.hub.encoding import decode, encode
from ingest.hub.group_table import GroupTable
from ingest.log.catalogue import Topic
from ingest.log.internal_table import encode_entries, latest_of
from ingest.log.partition import AppendInfo
from ingest.log.store import LogStore
from ingest.log.topic_names import GROUPS, is_internal
from ingest.log.view import StoreView


def _silent(_: str) -> None:
    """Reports to nobody."""


class EmbeddedHub(Hub):
    """Made by ``open``. One process opens a folder for writing; any number read it at the same time."""

    def __init__(self, store: LogStore | StoreView) -> None:
        """Use ``open``."""
        self._opened = store
        self.id = store.id
        self._groups = GroupTable(store.partition(GROUPS, 0), store.topics)
        self._groups.refresh()
        if isinstance(store, LogStore):
            store.holds = self._groups.lowest_hold

    @classmethod
    def open(
        cls,
        path: Path | str,
        env: Environment | None = None,
        *,
        writable: bool = True,
        wait_ms: int = 0,
        report: Callable[[str], None] = _silent,
    ) -> EmbeddedHub:
        """Opens the folder, and makes it if it is not there (only to write).

        ``wait_ms`` is how long to wait for another owner before ``FolderLocked``. With ``writable=False`` no
        lock is taken and nothing is changed: the hub shows what its owner has on disk, a moment later.
        ``report`` gets a sentence for each thing that recovery did. Raises ``FolderInvalid``.
        """
        env = env or Environment()
        if writable:
            return cls(LogStore.open(Path(path), env, wait_ms=wait_ms, report=report))
        return cls(StoreView.open(Path(path), env))

    # --- topics

    def topics(self) -> Sequence[TopicInfo]:
        return [_info(topic) for topic in self._opened.topics.all()]

    def topic(self, name: str) -> TopicInfo:
        return _info(self._opened.topics.get(name))

    def create_topic(self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> TopicInfo:
        return _info(self._store.create_topic(name, partitions, config or {}))

    def alter_topic(
        self, name: str, *, partitions: int | None = None, config: Mapping[str, str | None] | None = None
    ) -> TopicInfo:
        return _info(self._store.alter_topic(name, partitions, config or {}))

    def delete_topic(self, name: str) -> None:
        self._store.delete_topic(name)

    # --- records

    def append(self, records: Records, partition: int) -> Future[Appended]:
        store = self._store
        log = store.partition(records.topic, partition)
        done: Future[Appended] = Future()
        if not len(records):
            done.set_result(Appended(records.topic, partition, log.log_end_offset, 0))
            return done
        batches = encode(records, log.config, store.env.clock.now_ms())
        stored = store.append(log, batches)
        stored.add_done_callback(lambda future: _hand_over(future, done, records.topic, partition, len(records)))
        return done

    def append_synced(self, records: Records, partition: int) -> Appended:
        if not len(records):
            return self.append(records, partition).result()
        store = self._store
        log = store.partition(records.topic, partition)
        stored = store.append_synced(log, encode(records, log.config, store.env.clock.now_ms()))
        return Appended(records.topic, partition, stored.base_offset, len(records))

    def read(
        self,
        topic: str,
        partition: int,
        offset: int,
        *,
        max_bytes: int,
        committed: bool = True,
        want_headers: bool = True,
    ) -> Fetched:
        log = self._opened.partition(topic, partition)
        found = log.read(offset, max_bytes, committed=committed)
        records, end = decode(found, topic, partition, max_bytes, want_headers=want_headers)
        return Fetched(records, found.start, end, found.high_watermark)

    def wait(self, positions: Mapping[TopicPartition, int], timeout_ms: int) -> bool:
        return self._opened.wait(positions, timeout_ms)

    def start_offset(self, topic: str, partition: int) -> int:
        return self._opened.partition(topic, partition).log_start_offset

    def end_offset(self, topic: str, partition: int, *, committed: bool = True) -> int:
        log = self._opened.partition(topic, partition)
        return log.last_stable_offset if committed else log.high_watermark

    def offset_for_time(self, topic: str, partition: int, timestamp_ms: int) -> int | None:
        return self._opened.partition(topic, partition).offset_for_time(timestamp_ms)

    def delete_records(self, topic: str, partition: int, before_offset: int) -> None:
        store = self._store
        store.delete_records(store.partition(topic, partition), before_offset)

    # --- transactions and positions

    def register_writer(self, name: str) -> Writer:
        return Writer(name, self._store.transactions.register(name))

    def transaction(self, writer: Writer) -> HubTransaction:
        store = self._store
        return EmbeddedTransaction(store, store.transactions.begin(writer.name, writer.epoch))

    def positions(self, owner: str) -> Mapping[str, Mapping[str, Any]]:
        return self._opened.positions.of(owner)

    def position_owners(self) -> Sequence[str]:
        return self._opened.positions.owners()

    # --- groups

    def commit_group(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        self._write_groups([self._groups.put("group", group, offsets, replace=False)])

    def group_offsets(self, group: str) -> Mapping[TopicPartition, int]:
        self._refresh_groups()
        return self._groups.offsets("group", group)

    def groups(self) -> Sequence[str]:
        self._refresh_groups()
        return self._groups.names("group")

    def delete_group(self, group: str) -> None:
        self._write_groups([self._groups.put("group", group, {}, replace=True)])

    def hold_retention(self, holder: str, offsets: Mapping[TopicPartition, int]) -> None:
        before = self._groups.offsets("hold", holder)
        # A hold that is too old is safe after a crash; one that is missing or too new is not.
        urgent = any(offset < before.get(place, offset + 1) for place, offset in offsets.items())
        self._write_groups([self._groups.put("hold", holder, offsets, replace=True)], durable=urgent)

    def retention_holds(self) -> Mapping[str, Mapping[TopicPartition, int]]:
        self._refresh_groups()
        return {holder: self._groups.offsets("hold", holder) for holder in self._groups.names("hold")}

    # --- the rest

    def compacted(self, topic: str) -> Iterable[tuple[bytes, bytes]]:
        table: dict[bytes, bytes] = {}
        for partition in range(self._opened.topics.get(topic).partitions):
            table |= latest_of(self._opened.partition(topic, partition))
        return table.items()

    def tidy(self) -> None:
        """Retention and compaction, now: a hub that stays open does that by itself every half a minute, and one that is
        opened for seconds, again and again, never would."""
        self._store.clean()

    def close(self) -> None:
        self._opened.close()

    @property
    def _store(self) -> LogStore:
        if isinstance(self._opened, LogStore):
            return self._opened
        raise TransactionInvalid(
            "this hub was opened for reading only", hint="open it for writing", path=str(self._opened.folder)
        )

    def _refresh_groups(self) -> None:
        if not isinstance(self._opened, LogStore):
            self._groups.refresh()

    def _write_groups(self, entries: Sequence[tuple[bytes, bytes | None]], *, durable: bool = False) -> None:
        store = self._store
        log, batches = store.partition(GROUPS, 0), encode_entries(entries, store.env.clock.now_ms())
        if durable:
            store.append(log, [batches]).result()
        else:
            store.append_lazily(log, batches)


def _info(topic: Topic) -> TopicInfo:
    return TopicInfo(topic.name, topic.id, topic.partitions, topic.config, is_internal(topic.name))


def _hand_over(stored: Future[AppendInfo], done: Future[Appended], topic: str, partition: int, count: int) -> None:
    """From the syncer's future to the caller's."""
    if not done.set_running_or_notify_cancel():
        return
    error = stored.exception()
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(Appended(topic, partition, stored.result().base_offset, count))
