"""The contract of a format: columns on one side, the bytes of record values on the other.

A format holds no state between calls and does no I/O; threads may share one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa

from ingest.connectors import Records, Rejected

MAX_RECORD_BYTES = 1 << 20
"""How large one record's value may be unless the topic says otherwise (Kafka's ``max.message.bytes``)."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """``records`` have binary values and keys, ready for a hub; ``rejected`` rows index the input."""

    records: Records
    rejected: Sequence[Rejected] = ()


@dataclass(frozen=True, slots=True)
class RejectedInside(Rejected):
    """Where one record holds many rows: ``inside`` (int64) is the row inside the record at ``rows``."""

    inside: pa.Array


@dataclass(frozen=True, slots=True)
class Decoded:
    """``records`` are typed again; ``rejected`` rows index the input: records of the topic, and
    ``RejectedInside`` where only some rows of a record are refused.

    ``inside`` (int64) is the row inside its record of each of ``records``; None: each record is one row.
    """

    records: Records
    rejected: Sequence[Rejected] = ()
    inside: pa.Array | None = None


class Format(ABC):
    """One way to write values as bytes. ``typed`` formats carry structs, and need the topic's schema."""

    name: ClassVar[str]
    typed: ClassVar[bool] = False

    @abstractmethod
    def encode(
        self, records: Records, *, schema: pa.Schema | None = None, max_bytes: int = MAX_RECORD_BYTES
    ) -> Encoded:
        """Called before records go to a hub. Each value of the result has at most ``max_bytes`` bytes; a row
        that cannot be made so, or does not fit ``schema``, is rejected, and its neighbours are not.

        Raises ``FormatError`` where no row is to blame: a struct for a format of lines, a column type that
        the format cannot carry. Without ``schema`` the value's own type is written.
        """

    @abstractmethod
    def decode(self, records: Records, *, schema: pa.Schema | None = None) -> Decoded:
        """Called with records from a hub: the exact inverse of ``encode`` for the same schema.

        Bytes of strangers are expected: what is not in this format, or does not fit ``schema``, is rejected.
        """


def with_binary_keys(records: Records) -> Records:
    """Keys travel as bytes in every format; text keys become their UTF-8."""
    if records.key is None or pa.types.is_binary(records.key.type) or pa.types.is_large_binary(records.key.type):
        return records
    large = pa.types.is_large_string(records.key.type)
    return replace(records, key=records.key.cast(pa.large_binary() if large else pa.binary()))


def without_large(records: Records, max_bytes: int) -> tuple[Records, list[Rejected]]:
    """Takes out the values above ``max_bytes``; ``records`` must hold binary values."""
    if records.value.get_total_buffer_size() <= max_bytes or records.value.nbytes <= max_bytes:  # the first is quick
        return records, []
    import pyarrow.compute as pc

    lengths = pc.fill_null(pc.binary_length(records.value), 0).to_numpy(zero_copy_only=False)
    large = np.flatnonzero(lengths > max_bytes)
    if not len(large):
        return records, []
    reasons = [f"the value has {lengths[row]} bytes, and the topic takes {max_bytes}" for row in large]
    return records.filter(pa.array(lengths <= max_bytes)), [rejected(large, reasons, "TooLarge")]


def rejected(rows: np.ndarray | Sequence[int], reasons: Sequence[str], error: str) -> Rejected:
    """``Rejected`` from row numbers of any integer kind."""
    return Rejected(rows=pa.array(np.asarray(rows, dtype=np.int64)), reasons=reasons, error=error)
