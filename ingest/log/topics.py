"""The topics of a data folder: their partitions' logs, and making, changing and removing them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ingest.environment import Environment
from ingest.errors import FolderInvalid, StorageFailed, TopicExists, TopicInvalid, TopicMissing
from ingest.log.catalogue import Catalogue, Topic, read_topic_id, write_catalogue, write_topic_id
from ingest.log.identity import new_uuid
from ingest.log.partition import PartitionLog
from ingest.log.storage_failure import storage
from ingest.log.topic_config import TopicConfig
from ingest.log.topic_names import INTERNAL, INTERNAL_CONFIG, check_name, folder_name, is_internal, parse_folder_name

MAX_PARTITIONS = 10_000

Report = Callable[[str], None]
OpenLog = Callable[[Topic, int], PartitionLog]


class Topics:
    """Changes are durable on return and serialised; look-ups never wait for them."""

    def __init__(
        self,
        folder: Path,
        env: Environment,
        catalogue: Catalogue,
        open_log: OpenLog,
        forget: Callable[[str], None],
        report: Report,
    ) -> None:
        """``open_log`` opens one partition's log; ``forget`` strikes a deleted topic off the checkpoints."""
        self._folder = folder
        self._env = env
        self._catalogue = catalogue
        self._open_log = open_log
        self._forget = forget
        self._report = report
        self._logs: dict[str, list[PartitionLog]] = {}
        self.changing = threading.Lock()
        """Held during changes: whoever writes about all topics takes it."""

    def open_logs(self) -> None:
        """Opens every partition that the catalogue lists."""
        for topic in self._catalogue.topics.values():
            self._logs[topic.name] = [self._open_listed(topic, n) for n in range(topic.partitions)]

    def all(self) -> list[Topic]:
        """By name."""
        return [topic for _, topic in sorted(self._catalogue.topics.items())]

    def get(self, name: str) -> Topic:
        """Raises ``TopicMissing``."""
        topic = self._catalogue.topics.get(name)
        if topic is None:
            raise TopicMissing(f"there is no topic {name!r}", topic=name)
        return topic

    def log(self, name: str, partition: int) -> PartitionLog:
        """Raises ``TopicMissing`` for an unknown topic or partition."""
        logs = self._logs.get(name)
        if logs is None:
            raise TopicMissing(f"there is no topic {name!r}", topic=name)
        if not 0 <= partition < len(logs):
            raise TopicMissing(
                f"topic {name!r} has partitions 0 to {len(logs) - 1}, not {partition}", topic=name, partition=partition
            )
        return logs[partition]

    def logs(self) -> Iterator[PartitionLog]:
        """Every partition of every topic."""
        for logs in list(self._logs.values()):
            yield from logs

    def logs_with_ids(self) -> Iterator[tuple[str, PartitionLog]]:
        """Every partition with its topic's id."""
        for name, logs in list(self._logs.items()):
            for log in logs:
                yield self._catalogue.topics[name].id, log

    def create(self, name: str, partitions: int, config: Mapping[str, str]) -> Topic:
        """Raises ``TopicExists`` or ``TopicInvalid``."""
        check_name(name)
        with self.changing:
            return self._create(name, partitions, config)

    def create_internal(self) -> None:
        """Makes those of the hub's own topics that are missing."""
        with self.changing:
            for name in INTERNAL:
                if name not in self._catalogue.topics:
                    self._create(name, 1, INTERNAL_CONFIG)

    def alter(self, name: str, partitions: int | None, config: Mapping[str, str | None]) -> Topic:
        """More partitions; settings set, or removed where None. Raises ``TopicInvalid`` for fewer."""
        with self.changing:
            old = self.get(name)
            count = old.partitions if partitions is None else partitions
            _check_change(old, count)
            merged = {**old.config, **config}
            settings = {key: str(value) for key, value in merged.items() if value is not None}
            parsed = TopicConfig.parse(settings, name)
            topic = Topic(name, old.id, count, settings)
            added = self._make_folders(topic, old.partitions)
            self._env.fail.hit("store.alter-topic.folders")
            self._list(self._catalogue.with_topic(topic))
            self._logs[name] = [*self._logs[name], *added]
            for log in self._logs[name]:
                log.config = parsed
            return topic

    def delete(self, name: str, let_go: Callable[[PartitionLog], None]) -> None:
        """``let_go`` is told of each log before it is removed."""
        with self.changing:
            self.get(name)
            if is_internal(name):
                raise TopicInvalid(f"{name} belongs to the hub and cannot be deleted", topic=name)
            self._list(self._catalogue.with_deletion(name))
            self._env.fail.hit("store.delete-topic.unlisted")
            for log in self._logs.pop(name):
                let_go(log)
                log.delete()
                self._env.fail.hit("store.delete-topic.folder")
            self._finish_deletions()

    def tidy(self) -> None:
        """At opening, before the logs: finishes what a crash left half made or half removed."""
        with self.changing:
            self._finish_deletions()
            for path in sorted(self._folder.iterdir()):
                place = parse_folder_name(path.name)
                if place is not None and path.is_dir() and not self._is_listed(*place):
                    self._tidy_stray(path)

    def _create(self, name: str, partitions: int, config: Mapping[str, str]) -> Topic:
        if name in self._catalogue.topics:
            raise TopicExists(f"topic {name!r} is already there", topic=name)
        if not 1 <= partitions <= MAX_PARTITIONS:
            raise TopicInvalid(f"a topic has 1 to {MAX_PARTITIONS} partitions, not {partitions}", topic=name)
        settings = {key: str(value) for key, value in config.items()}
        TopicConfig.parse(settings, name)
        self._finish_deletions()
        topic = Topic(name, new_uuid(self._env.random), partitions, settings)
        logs = self._make_folders(topic, 0)
        self._env.fail.hit("store.create-topic.folders")
        self._list(self._catalogue.with_topic(topic))
        self._env.fail.hit("store.create-topic.listed")
        self._logs[name] = logs
        return topic

    def _make_folders(self, topic: Topic, first: int) -> list[PartitionLog]:
        logs: list[PartitionLog] = []
        try:
            for partition in range(first, topic.partitions):
                logs.append(self._make_folder(topic, partition))
            with storage(self._folder, "sync"):
                self._env.disk.sync_folder(self._folder)
        except StorageFailed:
            for log in logs:
                log.close(clean=False)  # the folders are empty: the next opening removes them
            raise
        return logs

    def _make_folder(self, topic: Topic, partition: int) -> PartitionLog:
        folder = self._folder / folder_name(topic.name, partition)
        if _holds_records(folder):
            raise TopicInvalid(
                f"{folder} holds records of a topic that is not listed",
                hint="move that folder away, or choose another name",
                topic=topic.name,
                path=str(folder),
            )
        with storage(folder, "create"):
            folder.mkdir(exist_ok=True)
        write_topic_id(self._env.disk, folder, topic.id)
        self._env.fail.hit("store.create-topic.folder")
        return self._open_log(topic, partition)

    def _open_listed(self, topic: Topic, partition: int) -> PartitionLog:
        folder = self._folder / folder_name(topic.name, partition)
        if not folder.is_dir():
            raise FolderInvalid(
                f"the folder of partition {partition} of topic {topic.name!r} is gone: {folder}",
                hint="restore it from a copy; an empty folder of that name starts the partition again from nothing",
                topic=topic.name,
                partition=partition,
            )
        return self._open_log(topic, partition)

    def _list(self, catalogue: Catalogue) -> None:
        write_catalogue(self._env.disk, self._folder, catalogue)
        self._catalogue = catalogue

    def _is_listed(self, name: str, partition: int) -> bool:
        topic = self._catalogue.topics.get(name)
        return topic is not None and partition < topic.partitions

    def _finish_deletions(self) -> None:
        for name, topic_id in self._catalogue.deleting.items():
            for path in self._folder.glob(f"{name}-*"):
                place = parse_folder_name(path.name)
                if place is not None and place[0] == name and read_topic_id(path) in (topic_id, None):
                    self._remove(path)
            self._forget(name)
            self._list(self._catalogue.without_deletion(name))

    def _tidy_stray(self, path: Path) -> None:
        if _holds_records(path):
            self._report(f"{path} belongs to no topic of this hub and is left alone")
            return
        self._report(f"removed {path}: a topic whose creation was cut short")
        self._remove(path)

    def _remove(self, folder: Path) -> None:
        with storage(folder, "remove"):
            for path in folder.iterdir():
                self._env.disk.unlink(path)
            folder.rmdir()
            self._env.disk.sync_folder(self._folder)


def _holds_records(folder: Path) -> bool:
    return folder.is_dir() and any(path.stat().st_size for path in folder.glob("*.log"))


def _check_change(topic: Topic, partitions: int) -> None:
    if partitions < topic.partitions:
        raise TopicInvalid(
            f"topic {topic.name!r} has {topic.partitions} partitions; their number cannot shrink to {partitions}",
            topic=topic.name,
        )
    if is_internal(topic.name):
        raise TopicInvalid(f"{topic.name} belongs to the hub and cannot be changed", topic=topic.name)
    if partitions > MAX_PARTITIONS:
        raise TopicInvalid(f"a topic has at most {MAX_PARTITIONS} partitions, not {partitions}", topic=topic.name)
