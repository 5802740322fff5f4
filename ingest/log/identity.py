"""``meta.properties``: who a data folder is. Made once, never changed.

version=1                                        Kafka's own key: the layout of this file
cluster.id=4c3bb7f4-…                            the hub's UUID
ingest.folder.version=1                          the layout of the folder
"""

from __future__ import annotations

import random
import uuid
from pathlib import Path

from ingest.disk import Disk
from ingest.errors import FolderInvalid
from ingest.log.atomic_file import replace_file

NAME = "meta.properties"
FOLDER_VERSION = "1"


def new_uuid(dice: random.Random) -> str:
    """A random UUID (version 4) from the environment's own dice."""
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


def create_identity(folder: Path, disk: Disk, dice: random.Random) -> str:
    """Gives a new folder its UUID; durable on return."""
    hub_id = new_uuid(dice)
    text = f"version=1\ncluster.id={hub_id}\ningest.folder.version={FOLDER_VERSION}\n"
    replace_file(disk, folder / NAME, text.encode())
    return hub_id


def read_identity(folder: Path) -> str | None:
    """The hub's UUID; None if the folder has none yet. Raises ``FolderInvalid`` for another version."""
    try:
        text = (folder / NAME).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        text = ""
    lines = (line.partition("=") for line in text.splitlines() if line and not line.startswith("#"))
    found = {key.strip(): value.strip() for key, _, value in lines}
    hub_id, version = found.get("cluster.id"), found.get("ingest.folder.version")
    if not hub_id or not version:
        raise FolderInvalid(f"{folder / NAME} is not the file of an Ingest data folder", path=str(folder))
    if version != FOLDER_VERSION:
        raise FolderInvalid(
            f"{folder} has layout version {version}, this program knows version {FOLDER_VERSION}",
            hint="use the version of Ingest that wrote it, or a newer one",
            path=str(folder),
        )
    return hub_id
