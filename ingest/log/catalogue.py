"""Which topics a data folder has: ``topics.json``, replaced as a whole with each change.

The file is the commit point of every change to topics. Creating makes the folders first and lists
them then; deleting strikes the topic off the list first and removes the folders then. So a folder that
the list does not know is a change that a crash left half done, and opening finishes it.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ingest.disk import Disk
from ingest.errors import FolderInvalid
from ingest.log.atomic_file import replace_file

NAME = "topics.json"
PARTITION_METADATA = "partition.metadata"


@dataclass(frozen=True, slots=True)
class Topic:
    """``id`` is the topic's UUID as text; ``config`` what was set, by Kafka's names."""

    name: str
    id: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All topics by name, and the topics (name to id) whose folders are being removed."""

    topics: Mapping[str, Topic] = field(default_factory=dict)
    deleting: Mapping[str, str] = field(default_factory=dict)

    def with_topic(self, topic: Topic) -> Catalogue:
        """The same with ``topic`` added or replaced."""
        return Catalogue({**self.topics, topic.name: topic}, self.deleting)

    def with_deletion(self, name: str) -> Catalogue:
        """The same without the topic, which is remembered until its folders are gone."""
        left = {known: topic for known, topic in self.topics.items() if known != name}
        return Catalogue(left, {**self.deleting, name: self.topics[name].id})

    def without_deletion(self, name: str) -> Catalogue:
        """The same once the folders of the deleted topic are gone."""
        return Catalogue(self.topics, {known: found for known, found in self.deleting.items() if known != name})


def write_catalogue(disk: Disk, folder: Path, catalogue: Catalogue) -> None:
    """Durable on return; raises ``StorageFailed``, and the old catalogue then stands."""
    topics = {
        topic.name: {"id": topic.id, "partitions": topic.partitions, "config": dict(topic.config)}
        for topic in catalogue.topics.values()
    }
    content = {"version": 1, "topics": topics, "deleting": dict(catalogue.deleting)}
    replace_file(disk, folder / NAME, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())


def read_catalogue(folder: Path) -> Catalogue | None:
    """None if there is none. Raises ``FolderInvalid`` for one that makes no sense: never guesses."""
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
        if found["version"] != 1:
            raise ValueError(f"version {found['version']}")
        topics = {name: _topic(name, entry) for name, entry in found["topics"].items()}
        return Catalogue(topics, {str(name): str(found_id) for name, found_id in found["deleting"].items()})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FolderInvalid(
            f"{folder / NAME} is damaged: {error}",
            hint="restore it from a copy of the folder; the records themselves are in the topics' folders",
            path=str(folder / NAME),
        ) from error


def write_topic_id(disk: Disk, folder: Path, topic_id: str) -> None:
    """Kafka's ``partition.metadata`` in a partition's folder; durable on return."""
    text = base64.urlsafe_b64encode(uuid.UUID(topic_id).bytes).decode().rstrip("=")
    replace_file(disk, folder / PARTITION_METADATA, f"version: 0\ntopic_id: {text}".encode())


def read_topic_id(folder: Path) -> str | None:
    """The id of the topic that a partition's folder belongs to; None if it does not say."""
    try:
        lines = (folder / PARTITION_METADATA).read_text(encoding="ascii").splitlines()
        text = dict(line.split(": ", 1) for line in lines)["topic_id"]
        return str(uuid.UUID(bytes=base64.urlsafe_b64decode(text + "==")))
    except (OSError, ValueError, KeyError):
        return None


def _topic(name: str, entry: Mapping[str, object]) -> Topic:
    config, partitions = entry["config"], entry["partitions"]
    if not isinstance(config, dict) or not isinstance(partitions, int) or partitions < 1:
        raise ValueError(f"topic {name!r} is written wrong")
    return Topic(name, str(uuid.UUID(str(entry["id"]))), partitions, {str(k): str(v) for k, v in config.items()})
