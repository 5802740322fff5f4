"""The life of a sink of files: take rows, write files, commit them by manifest."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pyarrow as pa

from ingest.connectors import (
    MAX_HELD_BYTES,
    Commit,
    Delivery,
    Records,
    SinkContext,
    SinkTask,
    Standing,
    TopicPartition,
)
from ingest.errors import ConnectorError, SinkFenced, StorageFailed, SystemUnavailable
from ingest.sinks.lake.checkpoint import checkpoint_if_due
from ingest.sinks.lake.file_format import FileFormat
from ingest.sinks.lake.ledger import Ledger
from ingest.sinks.lake.manifest import DataFile, Entry
from ingest.sinks.lake.names import owner_name
from ingest.sinks.lake.partition_by import parse_all
from ingest.sinks.lake.pending import Pending
from ingest.sinks.lake.pending_files import PendingFiles
from ingest.sinks.lake.placing import Placing
from ingest.sinks.lake.recovery import finish_commit, next_entry, take_over
from ingest.sinks.lake.settings import LakeSettings
from ingest.sinks.lake.target import open_store

CHECKPOINT_EVERY = 1000
"""Manifests from one checkpoint to the next."""


class LakeTask(SinkTask):
    """A commit is: every file a durable temporary, then the manifest (the commit point), then the files made
    visible. After a failure in ``put`` or ``flush`` the task is of no more use and is opened anew."""

    def __init__(self, settings: LakeSettings, file_format: FileFormat) -> None:
        self._settings = settings
        self._format = file_format
        self._files: PendingFiles | None = None

    def open(self, context: SinkContext) -> Standing:
        self._context = context
        self._clock = context.environment.clock
        self._fail = context.environment.fail
        self._store = open_store(
            self._settings.url,
            context.base_folder,
            context.environment,
            storage_options=self._settings.storage_options,
            single_writer=self._settings.single_writer,
        )
        self._ledger = Ledger(self._store, owner_name(context.pipeline, context.name))
        self._writer = f"{context.epoch}-{context.environment.random.getrandbits(48):012x}"
        taken = take_over(self._store, self._ledger, context, self._writer)
        return self._resume(taken.opened, taken.commit)

    def put(self, delivery: Delivery) -> None:
        files = self._pending_files()
        self._pending.take(delivery, self._clock.monotonic_ms())
        for each in delivery.records:
            records = self._with_values(each, delivery)
            if len(records):
                placed = self._placing.place(records)
                self._pending.refuse(placed.dead)
                if not len(placed.offsets):
                    continue
                place = (delivery.topic, delivery.partition)
                files.append(place, placed.batch, placed.offsets, placed.folders)

    def flush(self, force: bool = False) -> Commit | None:
        files = self._pending_files()
        if not self._pending or not (force or self._is_due(files)):
            return None
        finished = files.finish()
        self._store.settle([file.stored for file in finished])
        entry = self._entry(finished)
        self._put(entry, files)
        finish_commit(self._store, self._ledger, entry, self._fail)
        self._checkpoint(entry)
        self._begin(entry, Pending(entry.offsets))
        return entry.as_commit()

    def next_flush_ms(self) -> int | None:
        since = self._pending.since_ms
        if since is None:
            return None
        if self._is_due(self._pending_files()):
            return 0
        if self._context.bounded:
            return None
        return max(0, self._settings.roll.interval - (self._clock.monotonic_ms() - since))

    def close(self) -> None:
        if self._files is not None:
            self._files.discard()
            self._files = None

    def _with_values(self, records: Records, delivery: Delivery) -> Records:
        """Without tombstones: rows of nulls that nobody could tell from others, as files do not hold keys. A text
        that is null is for the format to judge."""
        if not (pa.types.is_struct(records.value.type) or pa.types.is_null(records.value.type)):
            return records
        present = records.value.is_valid()
        missing = len(records) - int(present.true_count)
        if not missing:
            return records
        self._pending.leave_out(TopicPartition(delivery.topic, delivery.partition), missing)
        return records.filter(present)

    def _checkpoint(self, entry: Entry) -> None:
        """Now and then sums up the manifests, for those who open the table. It only saves time: where the store
        refuses it, the next one is as good."""
        if entry.sequence % CHECKPOINT_EVERY == 0:
            with contextlib.suppress(StorageFailed, SystemUnavailable):
                checkpoint_if_due(self._store, self._ledger.owner, every=CHECKPOINT_EVERY)

    def _resume(self, opened: Entry, commit: Entry | None) -> Standing:
        self._opened = opened
        self._topic_ids = dict(commit.topic_ids) if commit else {}
        self._placing = Placing(
            parse_all(self._settings.partition_by),
            commit.schemas if commit else {},
            sink=self._context.name,
            tolerate=self._context.tolerate,
            file_format=self._format,
        )
        self._begin(opened, Pending(commit.offsets if commit else {}))
        if commit is None:
            return Standing()
        return Standing(commit.as_commit(), commit.hub_id, dict(commit.topic_ids), commit.epoch)

    def _begin(self, last: Entry, pending: Pending) -> None:
        self._last = last
        self._pending = pending
        self._files = PendingFiles(
            self._store,
            self._settings,
            self._format,
            self._fail,
            owner=self._ledger.owner,
            writer=self._writer,
            commit=last.commit + 1,
            about={"pipeline": self._context.pipeline, "sink": self._context.name},
        )

    def _pending_files(self) -> PendingFiles:
        if self._files is None:
            raise ConnectorError("this sink is closed, or a commit has failed: it has to be opened again")
        return self._files

    def _is_due(self, files: PendingFiles) -> bool:
        since = self._pending.since_ms
        if since is None or self._context.bounded:
            waited = False
        else:
            waited = self._clock.monotonic_ms() - since >= self._settings.roll.interval
        return waited or files.full or self._pending.dead_bytes >= MAX_HELD_BYTES

    def _entry(self, files: list[DataFile]) -> Entry:
        offsets = self._pending.offsets()
        for topic in {place.topic for place in offsets}:
            self._topic_ids[topic] = self._context.topic_ids.get(topic, self._topic_ids.get(topic, ""))
        return replace(
            next_entry(self._opened, self._last),
            written_ms=self._clock.now_ms(),
            topic_ids=dict(self._topic_ids),
            ranges=self._pending.ranges(),
            offsets=offsets,
            files=files,
            dead=tuple(self._pending.dead),
            left_out=self._pending.left_out,
            schemas=self._placing.schemas(),
            partition_by=tuple(self._settings.partition_by),
        )

    def _put(self, entry: Entry, files: PendingFiles) -> None:
        """The commit point. However it ends, from here on only the ledger tells whether the files are committed:
        they are removed only where it says that they are not."""
        self._fail.hit("lake.manifest.before")
        self._files = None
        try:
            self._ledger.put(entry)
        except SinkFenced:
            files.discard()
            raise
        self._fail.hit("lake.manifest.put")
