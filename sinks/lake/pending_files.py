"""All files of the commit in the making, within one bound of memory and of open files.

Rows wait in stages (not yet split by folder) and in open files (not yet a good piece). When they hold more than
the bound, the largest files write what waits, in smaller pieces. Where that does not help, because the rows
are spread over too many files, the commit is due early: thousands of partition values make small files, never
large memory.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa

from ingest.failpoints import FailPoints
from ingest.sinks.lake.file_format import FileFormat, FileKey
from ingest.sinks.lake.manifest import DataFile
from ingest.sinks.lake.names import data_name
from ingest.sinks.lake.open_file import OpenFile
from ingest.sinks.lake.partition_values import Folders
from ingest.sinks.lake.settings import LakeSettings
from ingest.sinks.lake.stage import Stage
from ingest.sinks.lake.store import Draft, Store

MAX_OPEN_FILES = 128
"""Files with a descriptor at the same time."""
_LITTLE_MORE = 1.1
"""A file may have that much more rows than asked for, rather than leave a tiny one behind."""

Place = tuple[str, int]


class PendingFiles:
    """The files of one commit: used once, until ``finish`` or ``discard``."""

    def __init__(
        self,
        store: Store,
        settings: LakeSettings,
        file_format: FileFormat,
        fail: FailPoints,
        *,
        owner: str,
        writer: str,
        commit: int,
        about: dict[str, object],
    ) -> None:
        self._store = store
        self._settings = settings
        self._format = file_format
        self._fail = fail
        self._owner = owner
        self._writer = writer
        self._commit = commit
        self._about = about | {"commit": commit}
        self._schemas: dict[Place, pa.Schema] = {}
        self._stages: dict[Place, Stage] = {}
        self._open: dict[FileKey, OpenFile] = {}
        self._finished: list[DataFile] = []
        self._drafts: list[Draft] = []
        self._number = 0
        self._stage_bytes = min(settings.memory // 4, settings.roll.bytes)
        self._rows: Counter[FileKey] = Counter()
        self.full = False
        """A file has reached a limit, or memory has: a commit is due."""

    def append(self, place: Place, batch: pa.RecordBatch, offsets: np.ndarray, folders: Folders) -> None:
        """Takes rows of one partition; all of them have a folder."""
        if not _same(self._schemas.get(place), batch.schema):
            self._finish_place(place)
            self._schemas[place] = batch.schema
        self._count(place, folders)
        stage = self._stages.get(place)
        if len(folders.names) == 1 and (stage is None or self._split_if_few(place, stage)):
            # all of one folder, as batches of a log are but for those at midnight: nothing to split, nothing copied
            self._append(FileKey(*place, folders.names[0]), batch, offsets)
        else:
            stage = self._stages.setdefault(place, Stage())
            stage.append(batch, offsets, folders)
            if stage.held_bytes >= self._stage_bytes and not self._split_if_few(place, stage):
                self.full = self.full or stage.held_bytes >= self._settings.memory // 2
        self._keep_within_memory()

    def finish(self) -> list[DataFile]:
        """Writes everything; on return all files are durable temporaries but for the store's ``settle``."""
        for place in list(self._schemas):
            self._finish_place(place)
        return self._finished

    def discard(self) -> None:
        """Removes all temporaries of this commit, which no manifest lists. Raises nothing."""
        for file in self._open.values():
            file.discard()
        for draft in self._drafts:
            draft.discard()
        self._open, self._stages = {}, {}

    def _count(self, place: Place, folders: Folders) -> None:
        counts = np.bincount(folders.codes, minlength=len(folders.names)).tolist()
        keys = [FileKey(*place, name) for name in folders.names]
        self._rows.update(dict(zip(keys, counts, strict=True)))
        if any(self._rows[key] >= self._settings.roll.rows for key in keys):
            self.full = True

    def _append(self, key: FileKey, batch: pa.RecordBatch, offsets: np.ndarray) -> None:
        """To the open file of ``key``; a batch much too large for one file goes to several."""
        limit = self._settings.roll.rows
        while batch.num_rows:
            file = self._open.get(key) or self._start(key, batch.schema)
            room = batch.num_rows
            if file.rows + room > limit * _LITTLE_MORE:
                room = max(1, limit - file.rows)
            file.append(batch.slice(0, room), offsets[:room])
            batch, offsets = batch.slice(room), offsets[room:]
            self.full = file.reaches(self._settings.roll.bytes) or self.full
            if batch.num_rows:
                self._finish_file(key)

    def _start(self, key: FileKey, schema: pa.Schema) -> OpenFile:
        self._number += 1
        name = data_name(self._owner, key.topic, key.partition, self._commit, self._number, self._format.suffix)
        path = f"{key.folder}/{name}".lstrip("/")
        file = OpenFile(key, schema, self._format, self._about, lambda: self._draft(path))
        self._open[key] = file
        return file

    def _draft(self, path: str) -> Draft:
        draft = self._store.draft(path, self._writer)
        self._drafts.append(draft)
        return draft

    def _split_if_few(self, place: Place, stage: Stage) -> bool:
        """Moves rows on to their files, unless that would open more files than may be: then they go on waiting."""
        new = sum(FileKey(*place, folder) not in self._open for folder in stage.folders)
        if len(self._open) + new > MAX_OPEN_FILES:
            return False
        self._split(place, finish=False)
        return True

    def _split(self, place: Place, *, finish: bool) -> None:
        for folder, parts in self._stages.pop(place).split():
            key = FileKey(*place, folder)
            for batch, offsets in parts:
                self._append(key, batch, offsets)
            if finish:
                self._finish_file(key)

    def _keep_within_memory(self) -> None:
        held = self._held_bytes()
        if held <= self._settings.memory:
            return
        waiting = sorted(self._open.values(), key=lambda file: file.waiting_bytes, reverse=True)
        room = MAX_OPEN_FILES - sum(file.is_open for file in waiting)
        for file in waiting:
            if held <= self._settings.memory // 2:
                return
            if not file.waiting_bytes or (room <= 0 and not file.is_open):
                continue
            room -= not file.is_open
            before = file.held_bytes
            file.write_waiting()
            held -= before - file.held_bytes
        self.full = self.full or held > self._settings.memory // 2

    def _held_bytes(self) -> int:
        staged = sum(stage.held_bytes for stage in self._stages.values())
        return staged + sum(file.held_bytes for file in self._open.values())

    def _finish_place(self, place: Place) -> None:
        """The last rows of each folder go from the stage right into its file, which is finished at once: so
        one more file at a time is open, however many there are."""
        if place in self._stages:
            self._split(place, finish=True)
        for key in [key for key in self._open if key[:2] == place]:
            self._finish_file(key)

    def _finish_file(self, key: FileKey) -> None:
        self._finished.append(self._open.pop(key).finish(self._fail))


def _same(old: pa.Schema | None, new: pa.Schema) -> bool:
    """Whether rows of both may stand in one file."""
    return old is not None and old.equals(new) and old.metadata == new.metadata
