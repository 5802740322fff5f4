"""The life of a sink of files, whatever it makes of what it is given: write files, commit them by manifest."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from ingest.connectors import MAX_HELD_BYTES, Commit, SinkContext, SinkTask, Standing
from ingest.errors import ConnectorError, SinkFenced, StorageFailed, SystemUnavailable
from ingest.sinks.lake.checkpoint import checkpoint_if_due
from ingest.sinks.lake.file_format import FileFormat
from ingest.sinks.lake.ledger import Ledger
from ingest.sinks.lake.manifest import DataFile, Entry
from ingest.sinks.lake.names import owner_name
from ingest.sinks.lake.pending import Pending
from ingest.sinks.lake.recovery import finish_commit, next_entry, take_over
from ingest.sinks.lake.settings import LakeSettings
from ingest.sinks.lake.target import open_store

CHECKPOINT_EVERY = 1000
"""Manifests from one checkpoint to the next."""


class CommitFiles(Protocol):
    """The files of one commit in the making: used once, until ``finish`` or ``discard``."""

    @property
    def full(self) -> bool:
        """A commit is due, for a file has reached a limit, or memory has."""

    def finish(self) -> Sequence[DataFile]:
        """Writes everything; on return all files are durable temporaries but for the store's ``settle``."""

    def discard(self) -> None:
        """Removes all temporaries of this commit, which no manifest lists. Raises nothing."""


class CommitTask(SinkTask):
    """A commit is: every file a durable temporary, then the manifest (the commit point), then the files made
    visible. After a failure in ``put`` or ``flush`` the task is of no more use and is opened anew.

    Who inherits it sets ``_pending`` and ``_files`` in ``_begin``, fills them in ``put``, and adds to ``_entry``.
    """

    _pending: Pending

    def __init__(self, settings: LakeSettings, file_format: FileFormat) -> None:
        self._settings = settings
        self._format = file_format
        self._files: CommitFiles | None = None

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

    def flush(self, force: bool = False) -> Commit | None:
        files = self._open_files()
        if not self._pending or not (force or self._is_due(files)):
            return None
        finished = files.finish()
        self._store.settle([file.stored for file in finished])
        entry = self._entry(finished)
        self._put(entry, files)
        finish_commit(self._store, self._ledger, entry, self._fail)
        self._checkpoint(entry)
        self._last = entry
        self._begin(Pending(entry.offsets))
        return entry.as_commit()

    def next_flush_ms(self) -> int | None:
        since = self._pending.since_ms
        if since is None:
            return None
        if self._is_due(self._open_files()):
            return 0
        if self._context.bounded:
            return None
        return max(0, self._settings.roll.interval - (self._clock.monotonic_ms() - since))

    def close(self) -> None:
        if self._files is not None:
            self._files.discard()
            self._files = None

    def _checkpoint(self, entry: Entry) -> None:
        """Now and then sums up the manifests, for those who open the table. It only saves time: where the store
        refuses it, the next one is as good."""
        if entry.sequence % CHECKPOINT_EVERY == 0:
            with contextlib.suppress(StorageFailed, SystemUnavailable):
                checkpoint_if_due(self._store, self._ledger.owner, every=CHECKPOINT_EVERY)

    def _resume(self, opened: Entry, commit: Entry | None) -> Standing:
        self._opened = opened
        self._topic_ids = dict(commit.topic_ids) if commit else {}
        self._last = opened
        self._prepare(commit)
        self._begin(Pending(commit.offsets if commit else {}))
        if commit is None:
            return Standing()
        return Standing(commit.as_commit(), commit.hub_id, dict(commit.topic_ids), commit.epoch)

    @abstractmethod
    def _prepare(self, commit: Entry | None) -> None:
        """Called by ``open``, with the newest commit of the target."""

    @abstractmethod
    def _begin(self, pending: Pending) -> None:
        """Called after ``open`` and after each commit: what follows belongs to the commit after ``_last``."""

    def _open_files(self) -> CommitFiles:
        if self._files is None:
            raise ConnectorError("this sink is closed, or a commit has failed: it has to be opened again")
        return self._files

    def _is_due(self, files: CommitFiles) -> bool:
        since = self._pending.since_ms
        if since is None or self._context.bounded:
            waited = False
        else:
            waited = self._clock.monotonic_ms() - since >= self._settings.roll.interval
        return waited or files.full or self._pending.dead_bytes >= MAX_HELD_BYTES

    def _entry(self, files: Sequence[DataFile]) -> Entry:
        """The manifest of what is pending."""
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
        )

    def _put(self, entry: Entry, files: CommitFiles) -> None:
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
