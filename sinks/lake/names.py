"""Names under a table: data files, manifests, temporaries.

Parts of a name are joined by ``~``, which no part holds, so that what belongs to a sink is told from what
belongs to another by the name alone. The layout is docs/formats/manifest.md.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote

SEPARATOR = "~"
SUFFIX = ".parquet"
_DATA_NAME = re.compile(r"[^.~][^/]*\.(parquet|jsonl|csv|tsv|txt|dsv|avro)(\.(gz|zst|bz2))?")
LEDGERS = "_ingest"
"""The folder of all manifests; readers that look into folders pass over names that begin with ``_`` or ``.``."""
GROUP = 1000
"""Manifests in one folder, so that the last of millions is found by two short listings."""

COMPACTIONS = "compactions"
"""Below a sink's manifests, those of what merges its files: a writer of its own, named ``<sink>/compactions``."""

_DATA_PARTS = 6
_COMPACTED_PARTS = 7
_OWNER_PART = 48
_TOPIC_PART = 80


def owner_name(pipeline: str, sink: str) -> str:
    """What the files of one sink begin with."""
    return f"{_part(pipeline, _OWNER_PART)}{SEPARATOR}{_part(sink, _OWNER_PART)}"


def data_name(owner: str, topic: str, partition: int, commit: int, number: int, suffix: str = SUFFIX) -> str:
    """The ``number``-th file of a commit; names sort as commits do within a partition of a topic. A negative
    partition stands for all of them."""
    place = str(partition) if partition >= 0 else "all"
    parts = (owner, _part(topic, _TOPIC_PART), place, f"{commit:012d}", f"{number:05d}")
    return SEPARATOR.join(parts) + suffix


def is_data(path: str) -> bool:
    """Whether a path ends as those of data files do, in any format of ours, and is not hidden."""
    return _DATA_NAME.fullmatch(path.rpartition("/")[2]) is not None


def compacted_name(first: str, sequence: int) -> str:
    """The file that compaction number ``sequence`` makes of several, the first of which has the path ``first``:
    it sorts where that one did."""
    stem = first.rpartition("/")[2].removesuffix(SUFFIX)
    return SEPARATOR.join([*stem.split(SEPARATOR)[:_DATA_PARTS], f"{sequence:012d}"]) + SUFFIX


def hidden_path(path: str) -> str:
    """Where a file lies that was merged into another: beside its place, and unseen by who looks for data files."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.{name}.old"


def compactions_of(owner: str) -> str:
    """The writer that merges files of the sink ``owner``."""
    return f"{owner}/{COMPACTIONS}"


def ledger_folder(owner: str) -> str:
    """Where the manifests of one sink lie."""
    return f"{LEDGERS}/{owner}"


def entry_path(owner: str, sequence: int) -> str:
    """The manifest with that number; the order of numbers is the order of paths."""
    return f"{ledger_folder(owner)}/{sequence // GROUP:017d}/{sequence:020d}.json"


def entry_sequence(name: str) -> int | None:
    """The number in a manifest's name; None if it is no manifest's."""
    digits, dot, suffix = name.partition(".")
    return int(digits) if len(digits) == 20 and digits.isdigit() and dot and suffix == "json" else None


def checkpoint_folder(owner: str) -> str:
    """Where the sums of a sink's manifests lie."""
    return f"{ledger_folder(owner)}/checkpoints"


def checkpoint_name(sequence: int, compaction: int) -> str:
    """The sum of the sink's manifests and its compactions' up to these numbers."""
    return f"{sequence:020d}-{compaction:020d}.json"


def checkpoint_numbers(name: str) -> tuple[int, int] | None:
    """What ``checkpoint_name`` was made from; None if it was not."""
    stem, dot, suffix = name.partition(".")
    sequence, _, compaction = stem.partition("-")
    if not dot or suffix != "json" or not (sequence.isdigit() and compaction.isdigit()):
        return None
    return int(sequence), int(compaction)


def temporary_name(name: str, writer: str) -> str:
    """Beside the final name, hidden, and not ending as data files do."""
    return f".{name}.{writer}.tmp"


def is_temporary_of(owner: str, name: str) -> bool:
    """Whether a name is one that ``temporary_name`` made for a data file of this writer."""
    return name.startswith(".") and name.endswith(".tmp") and _is_of(owner, name[1:])


def is_data_of(owner: str, name: str) -> bool:
    """Whether a name is one that ``data_name`` (or ``compacted_name``, for compactions) made for this writer."""
    return is_data(name) and _is_of(owner, name)


def _is_of(owner: str, name: str) -> bool:
    sink, _, compaction = owner.partition("/")
    parts = _COMPACTED_PARTS if compaction else _DATA_PARTS
    return name.startswith(f"{sink}{SEPARATOR}") and name.count(SEPARATOR) == parts - 1


def _part(text: str, limit: int) -> str:
    """``text`` as part of a name: cut where names would grow beyond what file systems take, told apart by a hash."""
    part = quote(text, safe="").replace(SEPARATOR, "%7E")
    if len(part) <= limit:
        return part
    return f"{part[: limit - 17]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
