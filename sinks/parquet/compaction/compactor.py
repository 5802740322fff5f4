"""One run of compaction over the files of one sink: look, plan, and merge by merge rewrite and replace."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.environment import Environment
from ingest.errors import ConnectorError, IngestError, Retriable, SinkFenced
from ingest.sinks.lake.checkpoint import checkpoint_if_due, look
from ingest.sinks.lake.file_format import FileFormat, FileKey
from ingest.sinks.lake.manifest import DataFile
from ingest.sinks.lake.open_file import OpenFile
from ingest.sinks.lake.replacing import Replacing
from ingest.sinks.lake.store import Store
from ingest.sinks.lake.table_view import TableView
from ingest.sinks.lake.target import open_store
from ingest.sinks.parquet.compaction.plan import Merge, Rules, plan
from ingest.sinks.parquet.compaction.rewrite import Interrupted, rewrite, target_schema
from ingest.sinks.parquet.compaction.settings import CompactSettings
from ingest.sinks.parquet.file_format import ParquetFormat
from ingest.sinks.parquet.settings import ParquetSettings

CHECKPOINT_EVERY = 100
"""Manifests since the last checkpoint that make a run write another one."""
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Merged:
    """A merge that is done: ``into`` stands for the files of ``merge``."""

    merge: Merge
    into: DataFile


@dataclass(slots=True)
class Result:
    """What a run did. ``problems`` are merges that could not be done: their files stay as they are."""

    merged: list[Merged] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    problems: list[IngestError] = field(default_factory=list)
    interrupted: bool = False


class Compactor:
    """Merges the files of the sink ``owner``. Used by one thread, with a store of its own."""

    def __init__(
        self,
        store: Store,
        owner: str,
        rules: Rules,
        file_format: FileFormat,
        environment: Environment,
        *,
        grace_ms: int,
        newest_schema: bool = False,
        stopping: threading.Event | None = None,
        progress: Callable[[Merged], None] = lambda merged: None,
    ) -> None:
        self._store = store
        self._owner = owner
        self._rules = rules
        self._environment = environment
        self._grace_ms = grace_ms
        self._format = file_format
        self._newest_schema = newest_schema
        self._stopping = stopping or threading.Event()
        self._progress = progress
        self._replacing = Replacing(store, owner, environment)

    @classmethod
    def of_sink(
        cls,
        sink: ParquetSettings,
        compact: CompactSettings,
        owner: str,
        base_folder: Path,
        environment: Environment,
        *,
        thorough: bool = False,
        newest_schema: bool = False,
        stopping: threading.Event | None = None,
        progress: Callable[[Merged], None] = lambda merged: None,
    ) -> Compactor:
        """By the settings of a sink, at its table, with a store of its own."""
        return cls(
            open_store(
                sink.url,
                base_folder,
                environment,
                storage_options=sink.storage_options,
                single_writer=sink.single_writer,
            ),
            owner,
            Rules(compact.below, compact.to, compact.min_files, thorough),
            ParquetFormat(sink),
            environment,
            grace_ms=compact.grace,
            newest_schema=newest_schema,
            stopping=stopping,
            progress=progress,
        )

    def plan(self) -> list[Merge]:
        """What ``run`` would merge now. Changes nothing."""
        return self._plan(look(self._store, self._owner))

    def run(self) -> Result:
        """Merges all that can be, then removes what has been hidden long enough, then writes a checkpoint if one
        is due. Raises ``SinkFenced`` if another compaction comes first again and again."""
        result = Result()
        for attempt in range(1, _TRIES + 1):
            self._replacing.resume()
            view = look(self._store, self._owner)
            if not view.commit:
                return result
            try:
                self._merge_all(view, result)
                break
            except SinkFenced:
                if attempt == _TRIES:
                    raise
            except Interrupted:
                result.interrupted = True
                break
        result.removed = self._replacing.vacuum(view, self._grace_ms)
        checkpoint_if_due(self._store, self._owner, every=CHECKPOINT_EVERY)
        return result

    def vacuum(self) -> list[str]:
        """Only removes what has been hidden long enough; returns the paths."""
        self._replacing.resume()
        view = look(self._store, self._owner)
        return self._replacing.vacuum(view, self._grace_ms) if view.commit else []

    def _plan(self, view: TableView) -> list[Merge]:
        return plan(view, self._rules, self._outdated(view) if self._newest_schema else frozenset())

    def _outdated(self, view: TableView) -> frozenset[str]:
        """The files whose columns are not the newest of their topic, by their footers."""
        filesystem, root = self._store.filesystem()
        found = []
        for path, live in view.files.items():
            if path.endswith(".parquet"):
                wanted = target_schema(view, Merge("", live.file.topic, 0, live.partition_by, ()))
                if not _schema(f"{root}/{path}", filesystem).equals(wanted):
                    found.append(path)
        return frozenset(found)

    def _merge_all(self, view: TableView, result: Result) -> None:
        for merge in self._plan(view):
            if self._stopping.is_set():
                raise Interrupted
            try:
                merged = Merged(merge, self._merge(view, merge))
            except ConnectorError as error:
                if isinstance(error, SinkFenced | Retriable):
                    raise
                self._replacing.check_fenced()
                # one file that is damaged does not keep the others from being merged
                result.problems.append(error)
            else:
                result.merged.append(merged)
                self._progress(merged)

    def _merge(self, view: TableView, merge: Merge) -> DataFile:
        schema = target_schema(view, merge)
        about = {"pipeline": view.pipeline, "sink": view.sink, "commit": view.commit, "merged": len(merge.files)}
        key = FileKey(merge.topic, merge.partition, merge.folder)
        output = OpenFile(key, schema, self._format, about, lambda: self._replacing.draft(merge.files[0]))
        try:
            new = rewrite(self._store, merge, schema, output, self._environment.fail, self._stopping)
        except Exception:
            output.discard()
            raise
        try:
            self._replacing.replace(view, merge.files, new, merge.partition_by)
        except SinkFenced:
            # only then is it known that no manifest lists it
            output.discard()
            raise
        return new


def _schema(path: str, filesystem: object) -> pa.Schema:
    return pq.read_schema(path, filesystem=filesystem).remove_metadata()
