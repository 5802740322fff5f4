"""The life of the Parquet sink where it keeps the newest row of each key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ingest.connectors import Commit, DeadLetter, Delivery
from ingest.errors import ConfigError, OutputDamaged, SinkFenced
from ingest.sinks.lake.checkpoint import look
from ingest.sinks.lake.commit_task import CommitTask
from ingest.sinks.lake.manifest import DataFile, Entry
from ingest.sinks.lake.pending import Pending
from ingest.sinks.lake.placing import tolerated
from ingest.sinks.parquet.current.merged_files import MergedFiles
from ingest.sinks.parquet.current.retired import Retired
from ingest.sinks.parquet.current.rows_of_changes import RowsOfChanges
from ingest.sinks.parquet.file_format import ParquetFormat
from ingest.sinks.parquet.settings import ParquetSettings


class CurrentTask(CommitTask):
    """See ``CommitTask``. A commit rewrites the files that its changes touch: its manifest names both the old and the
    new ones, and the old are hidden before the new can be seen."""

    _merged: MergedFiles

    def __init__(self, settings: ParquetSettings) -> None:
        super().__init__(settings, ParquetFormat(settings))
        self._parquet = settings

    def put(self, delivery: Delivery) -> None:
        self._open_files()
        self._check_topic(delivery.topic)
        self._pending.take(delivery, self._clock.monotonic_ms())
        for records in delivery.records:
            if len(records):
                self._merged.take(records)

    def flush(self, force: bool = False) -> Commit | None:
        self._retired.remove(self._clock.now_ms())
        try:
            commit = super().flush(force)
        except OutputDamaged:
            self._check_fenced()
            raise
        if commit is not None:
            self._retired.add(self._last, self._clock.now_ms())
        return commit

    def next_flush_ms(self) -> int | None:
        waits = [super().next_flush_ms()]
        if not self._context.bounded:
            waits.append(self._retired.wait_ms(self._clock.now_ms()))
        known = [wait for wait in waits if wait is not None]
        return min(known) if known else None

    def _check_fenced(self) -> None:
        """A file that is gone was rewritten by another writer, if there is a newer one."""
        last = self._ledger.last()
        if last is not None and last.writer != self._writer:
            raise SinkFenced(
                f"another writer has taken over {self._store.describe()}",
                hint="another process runs this sink; it goes on, and this one stops",
            ) from None

    def _prepare(self, commit: Entry | None) -> None:
        self._check(commit)
        self._topic = next(iter(commit.schemas), "") if commit else ""
        schema = commit.schemas[self._topic] if commit and self._topic else None
        self._rows = RowsOfChanges(self._format, self._parquet.key, commit.key if commit else (), schema)
        self._live: dict[str, DataFile] = {}
        self._retired = Retired(self._store, self._parquet.merge.grace)
        if commit is not None:
            files = [live.file for live in look(self._store, self._ledger.owner).files.values()]
            self._live = {file.bucket: file for file in files if file.bucket is not None}
            self._retired.read(self._ledger, commit, self._clock.now_ms())

    def _begin(self, pending: Pending) -> None:
        self._pending = pending
        self._files = self._merged = self._new_files()

    def _new_files(self) -> MergedFiles:
        scratch = self._parquet.merge.scratch
        return MergedFiles(
            self._store,
            self._parquet,
            self._format,
            self._fail,
            live=self._live,
            rows=self._rows,
            refuse=self._refuse,
            scratch=None if scratch is None else self._context.base_folder / Path(scratch).expanduser(),
            topic=self._topic,
            owner=self._ledger.owner,
            writer=self._writer,
            commit=self._last.commit + 1,
            about={"pipeline": self._context.pipeline, "sink": self._context.name},
        )

    def _entry(self, files: Sequence[DataFile]) -> Entry:
        # if the manifest cannot be put, this task is of no more use
        self._live = self._merged.live
        schema = self._rows.schema
        return replace(
            super()._entry(files),
            retires=tuple(self._merged.retires),
            schemas={} if schema is None else {self._topic: schema},
            key=self._rows.key,
            changes=self._merged.changes,
            vacuumed=self._retired.removed_up_to,
        )

    def _refuse(self, letters: Sequence[DeadLetter]) -> None:
        self._pending.refuse(tolerated(list(letters), tolerate=self._context.tolerate, sink=self._context.name))

    def _check(self, commit: Entry | None) -> None:
        if commit is None:
            return
        place = self._store.describe()
        if commit.schemas and not commit.key:
            raise ConfigError(
                f"{place} holds the history of changes, which this sink has written there so far",
                hint="write the newest rows to another folder, or by a sink of another name; or set mode: insert",
                setting="mode",
            )
        key = tuple(self._parquet.key)
        if key and commit.key and key != tuple(commit.key):
            raise ConfigError(
                f"the rows in {place} are told apart by {', '.join(commit.key)}, and key is now {', '.join(key)}",
                hint="another key makes another table: write it to another folder, or by a sink of another name",
                setting="key",
            )

    def _check_topic(self, topic: str) -> None:
        if self._topic and topic != self._topic:
            raise ConfigError(
                f"mode apply keeps the rows of one table, and records came of {self._topic} and of {topic}",
                hint="give each topic a sink of its own",
                setting="topics",
            )
        self._topic = self._merged.topic = topic
