"""Which files are the turns of one log: ``x.log``, ``x.log.1``, ``x.log-20260131.gz``."""

from __future__ import annotations

import os
import re

_TURN = re.compile(r"(\.(gz|bz2|zst|zstd)|\.\d+|[-._]\d{4}-?\d{2}-?\d{2}([-._T]?\d+)*)$")


def family_of(path: str) -> str:
    """``path`` without what rotation appends to a name; the same for all turns of a log in one folder."""
    folder, name = os.path.split(path)
    while (stripped := _TURN.sub("", name)) and stripped != name:
        name = stripped
    return os.path.join(folder, name)


def are_kin(one: str, other: str) -> bool:
    """Whether two paths may be turns of one log; old turns are often kept in another folder."""
    return os.path.basename(family_of(one)) == os.path.basename(family_of(other))


def is_turned(path: str) -> bool:
    """Whether the name says that the file was rotated away."""
    return family_of(path) != path
