"""Names of topics: which are allowed, which are the hub's own, and what their folders are called."""

from __future__ import annotations

import re

from ingest.errors import TopicInvalid

POSITIONS = "_ingest_positions"
SCHEMAS = "_ingest_schemas"
GROUPS = "_ingest_groups"
TRANSACTION_STATE = "__transaction_state"

INTERNAL = (POSITIONS, SCHEMAS, GROUPS, TRANSACTION_STATE)
INTERNAL_CONFIG = {
    # Small segments: compaction works on closed ones only, and these topics are read whole at opening.
    "cleanup.policy": "compact",
    "segment.bytes": "4194304",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "0",
    # A position or a schema is one record: let it be large.
    "max.message.bytes": "67108864",
}

_LEGAL = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_FOLDER = re.compile(r"(?P<topic>[a-zA-Z0-9._-]{1,249})-(?P<partition>\d{1,9})")
_RESERVED = ("_ingest_", "__transaction_state", "__consumer_offsets")


def check_name(name: str) -> None:
    """Raises ``TopicInvalid`` unless ``name`` is one that Kafka allows and that is not the hub's own."""
    if not _LEGAL.fullmatch(name) or name in (".", ".."):
        raise TopicInvalid(
            f"{name[:260]!r} is no topic name",
            hint="1 to 249 letters, digits, dots, underscores or dashes",
            topic=name,
        )
    if name.startswith(_RESERVED):
        raise TopicInvalid(f"topic names that start like {name!r} belong to the hub", topic=name)


def is_internal(name: str) -> bool:
    """Whether the hub keeps its own books in the topic."""
    return name in INTERNAL


def folder_name(topic: str, partition: int) -> str:
    """The name of a partition's folder."""
    return f"{topic}-{partition}"


def parse_folder_name(name: str) -> tuple[str, int] | None:
    """The topic and partition whose folder has this name; None if it is no such name."""
    match = _FOLDER.fullmatch(name)
    if match is None or name != folder_name(match["topic"], int(match["partition"])):
        return None
    return match["topic"], int(match["partition"])
