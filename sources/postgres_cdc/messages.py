"""Messages of a replication stream and the rows in them: by the compiled kernels, else by their twin.

``INGEST_PURE=1`` in the environment chooses the twin where both are there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ingest.errors import DecodeFailed

try:
    if os.environ.get("INGEST_PURE"):
        raise ImportError("the twin was asked for")
    from ingest.sources.postgres_cdc._messages import scan
    from ingest.sources.postgres_cdc._rows import read_rows
except ImportError:
    from ingest.sources.postgres_cdc.messages_twin import read_rows, scan

TEXT, BYTES, BOOL, INT2, INT4, INT8, OID, DATE, TIME, TIMESTAMP = range(10)
"""Kinds of columns, as the kernel numbers them."""
INSERT, UPDATE, DELETE, TRUNCATE = (ord(letter) for letter in "IUDT")


class Carried(NamedTuple):
    """What one piece of the stream leaves to the next: the transaction that has begun and not ended."""

    inside: bool = False
    commit: int = 0
    time_us: int = 0
    xid: int = 0
    done: int = 0


@dataclass(frozen=True, slots=True)
class Scanned:
    """The changes in a piece of the stream, as arrays of one length, and what stands between them.

    ``transaction`` is an index into ``commits``, ``ends``, ``times_us`` (since 2000) and ``xids``; ``ends`` holds 0
    where a transaction goes on in the next piece. ``old`` and ``new`` are places of rows, -1 where there is none.
    ``relations`` are (index of the change before which it came, place, length). ``end`` is the LSN up to which
    everything was sent, if no transaction was open behind it, else 0. ``reply``: the server wants to hear from us.
    """

    relation: np.ndarray
    operation: np.ndarray
    lsn: np.ndarray
    transaction: np.ndarray
    number: np.ndarray
    old: np.ndarray
    whole: np.ndarray
    new: np.ndarray
    commits: np.ndarray
    ends: np.ndarray
    times_us: np.ndarray
    xids: np.ndarray
    relations: Sequence[tuple[int, int, int]]
    end: int
    reply: bool
    carried: Carried


def scanned(data: np.ndarray, carried: Carried) -> Scanned:
    """Reads the frames that fill ``data``. Raises ``DecodeFailed``."""
    try:
        changes, transactions, relations, end, reply, left = scan(data, tuple(carried))
    except ValueError as error:
        raise DecodeFailed(f"replication stream: {error}", size_bytes=len(data)) from error
    return Scanned(*(*changes, *transactions), relations, end, reply, Carried(*left))  # type: ignore[call-arg]  # rows of arrays


def rows_at(data: np.ndarray, places: np.ndarray, kinds: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """The columns of the rows at ``places``, as the kernel's ``read_rows`` describes them. Raises ``DecodeFailed``."""
    try:
        return read_rows(data, np.ascontiguousarray(places), kinds)  # type: ignore[no-any-return]  # compiled
    except ValueError as error:
        raise DecodeFailed(f"replication stream: {error}", rows=len(places)) from error
