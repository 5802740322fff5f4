"""What a table asks of the format of its files. Each format brings an encoder, and says what it can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from ingest.sinks.lake.store import Draft


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row of a batch (its index) that cannot be written, and why."""

    row: int
    error: str
    reason: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch as the encoder wants it, and the rows that have no form and are not in it.

    The batch's schema, with its metadata, is that of the file: where it changes a new file begins.
    """

    batch: pa.RecordBatch
    refused: Sequence[Refusal] = ()


class FileKey(NamedTuple):
    """What all rows of a file have in common."""

    topic: str
    partition: int
    folder: str


class Encoder(Protocol):
    """Turns rows into the bytes of one file. Used by one thread, until ``finish`` or ``abandon``."""

    def write(self, rows: pa.Table) -> None:
        """Appends prepared rows; on return their bytes have been given to the draft, but for what a
        compressor holds back."""

    def finish(self, about: Mapping[str, Any]) -> None:
        """Completes the content; ``about`` says of which topic, offsets and commit, for formats with room for it."""

    def abandon(self) -> None:
        """Frees what is open; the draft may be gone by then."""


class FileFormat(Protocol):
    """One way to write rows, with its options; shared by all files of a sink."""

    name: str
    """As people say it: ``Parquet``."""
    suffix: str
    """What names of files end in."""
    chunk_rows: int
    """Rows wait until there are so many, or until memory is short, and are written together."""

    def holds(self, kind: pa.DataType) -> bool:
        """Whether values of this type can be written. Asked of the innermost types of lists, maps and objects."""

    def prepare(self, batch: pa.RecordBatch) -> Prepared:
        """Called once for all rows of a batch, before they are split by file; what is slow is done here."""

    def encoder(self, draft: Draft, schema: pa.Schema) -> Encoder:
        """The writer of one file."""
