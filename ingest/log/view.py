"""A data folder that another process may own, opened for reading: no lock, nothing is changed.

It shows what the owner has on disk: the owner publishes its high watermarks every 100 ms at most, and each
look here takes in what was published since.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from ingest.environment import Environment
from ingest.errors import Closed, FolderInvalid, TopicMissing
from ingest.log.catalogue import NAME as CATALOGUE
from ingest.log.catalogue import Catalogue, Topic, read_catalogue
from ingest.log.checkpoints import HIGH_WATERMARKS, Checkpoints
from ingest.log.identity import read_identity
from ingest.log.partition_view import PartitionView
from ingest.log.positions import PositionTable
from ingest.log.topic_config import TopicConfig
from ingest.log.topic_names import POSITIONS, TRANSACTION_STATE, folder_name
from ingest.log.unfinished import read_books

POLL_MS = 50

Place = tuple[str, int]
P = TypeVar("P", bound=Place)


class ViewedTopics:
    """The topics as the owner lists them now. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = _stamp(folder / CATALOGUE)
        self._catalogue = read_catalogue(folder) or Catalogue()

    def all(self) -> Sequence[Topic]:
        """By name."""
        return [topic for _, topic in sorted(self._current().topics.items())]

    def get(self, name: str) -> Topic:
        """Raises ``TopicMissing``."""
        topic = self._current().topics.get(name)
        if topic is None:
            raise TopicMissing(f"there is no topic {name!r}", topic=name)
        return topic

    def _current(self) -> Catalogue:
        seen = _stamp(self._folder / CATALOGUE)
        if seen != self._seen:
            self._catalogue, self._seen = read_catalogue(self._folder) or Catalogue(), seen
        return self._catalogue


class StoreView:
    """Made by ``open``. Thread-safe."""

    def __init__(self, folder: Path, hub_id: str, env: Environment) -> None:
        """Use ``open``."""
        self.folder = folder
        self.id = hub_id
        self.env = env
        self.topics = ViewedTopics(folder)
        self._checkpoints = Checkpoints(env.disk, folder)
        self._views: dict[tuple[str, int], tuple[PartitionView, object]] = {}
        self._lock = threading.Lock()
        self._seen: object = None
        self._watermarks: Mapping[Place, int] = {}
        self._starts: Mapping[Place, int] = {}
        self._closed = threading.Event()

    @classmethod
    def open(cls, folder: Path, env: Environment | None = None) -> StoreView:
        """Raises ``FolderInvalid`` if there is no data folder."""
        folder = folder.absolute()
        hub_id = read_identity(folder)
        if hub_id is None:
            raise FolderInvalid(
                f"{folder} is no data folder",
                hint="`ingest run` makes one; --data names it",
                path=str(folder),
            )
        return cls(folder, hub_id, env or Environment())

    def partition(self, topic: str, partition: int) -> PartitionView:
        """As it stands now. Raises ``TopicMissing``, or ``Closed``."""
        self._check_open()
        found = self.topics.get(topic)
        if not 0 <= partition < found.partitions:
            raise TopicMissing(
                f"topic {topic!r} has partitions 0 to {found.partitions - 1}, not {partition}",
                topic=topic,
                partition=partition,
            )
        with self._lock:
            self._refresh()
            view, seen = self._views.get((found.id, partition), (None, None))
            if view is None:
                view = self._open_view(found, partition)
            elif seen != self._seen:
                self._take_in(view, topic, partition)
            self._views[found.id, partition] = view, self._seen
            return view

    @property
    def positions(self) -> PositionTable:
        """With those of transactions that are decided, but whose positions are not in their log yet."""
        books = read_books(self.partition(TRANSACTION_STATE, 0), self.partition(POSITIONS, 0))
        for record in books.without_positions():
            books.positions.apply(record.positions)
        return books.positions

    def wait(self, positions: Mapping[P, int], timeout_ms: int) -> bool:
        """Looks again every ``POLL_MS``; see ``LogStore.wait``."""
        deadline_ms = self.env.clock.monotonic_ms() + timeout_ms
        while True:
            self._check_open()
            if any(self.partition(*place).last_stable_offset > offset for place, offset in positions.items()):
                return True
            left_ms = deadline_ms - self.env.clock.monotonic_ms()
            if left_ms <= 0:
                return False
            self.env.clock.wait(self._closed, min(POLL_MS, left_ms))

    def close(self) -> None:
        """Waiting readers get ``Closed``. Idempotent."""
        self._closed.set()
        with self._lock:
            for view, _ in self._views.values():
                view.close()
            self._views.clear()

    def _refresh(self) -> None:
        seen = _stamp(self.folder / HIGH_WATERMARKS)
        if seen != self._seen:
            # Starts first: a start that is older than the watermark only shows less to be missing.
            self._starts = self._checkpoints.log_starts()
            self._watermarks = self._checkpoints.high_watermarks()
            self._seen = seen

    def _open_view(self, topic: Topic, partition: int) -> PartitionView:
        place = topic.name, partition
        return PartitionView.open(
            self.folder / folder_name(*place),
            *place,
            TopicConfig.parse(topic.config, topic.name),
            synced_limit=self._limit(*place),
            log_start_offset=self._starts.get(place, 0),
        )

    def _take_in(self, view: PartitionView, topic: str, partition: int) -> None:
        limit = self._limit(topic, partition)
        if limit is not None:
            view.refresh(limit, self._starts.get((topic, partition), 0))

    def _limit(self, topic: str, partition: int) -> int | None:
        """A new topic has nothing published yet; without any publication whole batches are what there is."""
        return self._watermarks.get((topic, partition), 0) if self._watermarks else None

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise Closed(f"the data folder {self.folder} is closed")


def _stamp(path: Path) -> object:
    """Changes whenever the file is replaced."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
