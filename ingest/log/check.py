"""Checks a data folder: every batch, index, snapshot and transaction. Changes nothing unless asked to.

Beside a running owner it judges what the owner has published as synced, and leaves the rest alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ingest.environment import Environment
from ingest.errors import FolderInvalid, IngestError
from ingest.log.catalogue import Catalogue, Topic, read_catalogue, read_topic_id
from ingest.log.check_partition import MADE_AGAIN, PartitionCheck
from ingest.log.checkpoints import Checkpoints
from ingest.log.clean_shutdown import NAME as CLEAN
from ingest.log.finding import Finding
from ingest.log.folder_lock import FolderLock
from ingest.log.identity import read_identity
from ingest.log.segment_names import OFFSET_INDEX, TRANSACTION_INDEX
from ingest.log.store import LogStore
from ingest.log.topic_names import POSITIONS, TRANSACTION_STATE, folder_name, parse_folder_name
from ingest.log.unfinished import read_books
from ingest.log.view import StoreView


def check_folder(path: Path, *, repair: bool = False, env: Environment | None = None) -> list[Finding]:
    """All that is wrong, or will be put right by the next opening.

    With ``repair``, what can be repaired without losing a good record is; needs the folder to itself
    (``FolderLocked``). Raises ``FolderInvalid`` if the folder is something else.
    """
    env = env or Environment()
    if read_identity(path) is None:
        raise FolderInvalid(f"{path} is no data folder", path=str(path))
    if not repair:
        return list(_findings(path, env))
    return _repair(path, env)


def _findings(path: Path, env: Environment) -> Iterator[Finding]:
    try:
        catalogue = read_catalogue(path) or Catalogue()
    except FolderInvalid as error:
        yield Finding("error", "topics.json", error.message)
        return
    yield from _strays(path, catalogue)
    watermarks = Checkpoints(env.disk, path).high_watermarks()
    whole = True
    for topic in catalogue.topics.values():
        for partition in range(topic.partitions):
            for finding in _partition(path, topic, partition, watermarks.get((topic.name, partition))):
                whole &= finding.severity == "warning"
                yield finding
    if whole:
        yield from _books(path, env)


def _partition(path: Path, topic: Topic, partition: int, synced: int | None) -> Iterator[Finding]:
    folder = path / folder_name(topic.name, partition)
    if not folder.is_dir():
        yield Finding("error", folder.name, "the folder of this partition is gone")
        return
    topic_id = read_topic_id(folder)
    if topic_id != topic.id:
        yield Finding("error", folder.name, f"belongs to another topic: its id is {topic_id}, not {topic.id}")
    check = PartitionCheck(folder, synced)
    damaged = False
    for finding in check.run():
        damaged |= finding.severity == "error" and finding.repair is None
        yield finding
    if damaged:
        return
    if synced is not None and check.next_offset < synced:
        lost = f"ends at {check.next_offset}, and {synced} offsets were on disk once"
        yield Finding("error", folder.name, lost)
    for producer_id, (_, first) in check.state.open_transactions().items():
        if (path / CLEAN).exists():  # else its writer may be at work
            begun = f"a transaction of producer {producer_id} is open since offset {first}"
            yield Finding("warning", folder.name, begun, "the next opening finishes it")


def _strays(path: Path, catalogue: Catalogue) -> Iterator[Finding]:
    for name in catalogue.deleting:
        yield Finding("warning", "topics.json", f"the deletion of {name} was cut short", "the next opening finishes it")
    for folder in sorted(path.iterdir()):
        place = parse_folder_name(folder.name)
        if place is None or not folder.is_dir() or place[0] in catalogue.deleting:
            continue
        topic = catalogue.topics.get(place[0])
        if topic is None or place[1] >= topic.partitions:
            yield Finding("warning", folder.name, "belongs to no topic", "it is left alone; removed if it is empty")


def _books(path: Path, env: Environment) -> Iterator[Finding]:
    view = StoreView.open(path, env)
    try:
        read_books(view.partition(TRANSACTION_STATE, 0), view.partition(POSITIONS, 0))
    except (IngestError, ValueError, KeyError, TypeError) as error:
        yield Finding("error", TRANSACTION_STATE, f"the books of transactions cannot be read: {error}")
    finally:
        view.close()


def _repair(path: Path, env: Environment) -> list[Finding]:
    """Removes derived files that are wrong, then opens and closes the folder; but never where the opening
    would cut off records behind a damaged batch."""
    lock = FolderLock.take(path, env.clock)
    try:
        found = list(_findings(path, env))
        if any(finding.severity == "error" and finding.repair is None for finding in found):
            return found
        for finding in found:
            if finding.repair == MADE_AGAIN:
                _remove_derived(path / finding.place, env)
    finally:
        lock.release()
    LogStore.open(path, env).close()
    left = {(finding.place, finding.problem) for finding in _findings(path, env)}
    return [
        replace(finding, repaired=finding.repair is not None and (finding.place, finding.problem) not in left)
        for finding in found
    ]


def _remove_derived(path: Path, env: Environment) -> None:
    """A missing transaction index says that nothing was aborted; a missing offset index makes all be made again."""
    for each in {path, path.with_suffix(OFFSET_INDEX)} if path.suffix == TRANSACTION_INDEX else {path}:
        if each.exists():
            env.disk.unlink(each)
    env.disk.sync_folder(path.parent)
