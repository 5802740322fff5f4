"""The life of a sink of files that adds rows: each record's row in one file, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from ingest.connectors import Delivery, Records, TopicPartition
from ingest.errors import ConfigError
from ingest.sinks.lake.commit_task import CommitTask
from ingest.sinks.lake.manifest import DataFile, Entry
from ingest.sinks.lake.partition_by import parse_all
from ingest.sinks.lake.pending import Pending
from ingest.sinks.lake.pending_files import PendingFiles
from ingest.sinks.lake.placing import Placing


class LakeTask(CommitTask):
    """See ``CommitTask``."""

    def put(self, delivery: Delivery) -> None:
        self._open_files()
        self._pending.take(delivery, self._clock.monotonic_ms())
        for each in delivery.records:
            records = self._with_values(each, delivery)
            if len(records):
                placed = self._placing.place(records)
                self._pending.refuse(placed.dead)
                if not len(placed.offsets):
                    continue
                place = (delivery.topic, delivery.partition)
                self._appended.append(place, placed.batch, placed.offsets, placed.folders)

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

    def _prepare(self, commit: Entry | None) -> None:
        if commit is not None and commit.key:
            raise ConfigError(
                f"{self._store.describe()} holds the newest row of each key, which this sink has kept there so far",
                hint="write the history to another folder, or by a sink of another name; or set mode: apply",
                setting="mode",
            )
        self._placing = Placing(
            parse_all(self._settings.partition_by),
            commit.schemas if commit else {},
            sink=self._context.name,
            tolerate=self._context.tolerate,
            file_format=self._format,
        )

    def _begin(self, pending: Pending) -> None:
        self._pending = pending
        self._files = self._appended = PendingFiles(
            self._store,
            self._settings,
            self._format,
            self._fail,
            owner=self._ledger.owner,
            writer=self._writer,
            commit=self._last.commit + 1,
            about={"pipeline": self._context.pipeline, "sink": self._context.name},
        )

    def _entry(self, files: Sequence[DataFile]) -> Entry:
        return replace(
            super()._entry(files),
            schemas=self._placing.schemas(),
            partition_by=tuple(self._settings.partition_by),
        )
