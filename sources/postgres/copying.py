"""One range of a table, copied and decoded."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.formats.copy_rows import CopyDecoder
from ingest.sources.databases.parts import Part, part_of
from ingest.sources.databases.tables import TableInfo
from ingest.sources.postgres.copy_feed import copied_rows
from ingest.sources.postgres.failures import failure, said
from ingest.sources.postgres.types import CopiedColumn, columns_named

_WAIT_S = 0.2


@dataclass(frozen=True, slots=True)
class Split:
    """What one statement reads."""

    table: TableInfo
    columns: Sequence[CopiedColumn]
    condition: str
    order: str = ""
    number: int = 0

    @property
    def statement(self) -> str:
        """The COPY."""
        where = f" WHERE {self.condition}" if self.condition else ""
        query = f"SELECT {columns_named(self.columns)} FROM {self.table.relation}{where}"  # noqa: S608 - quoted, or the user's own
        order = f" ORDER BY {self.order}" if self.order else ""
        return f"COPY ({query}{order}) TO STDOUT (FORMAT binary)"


class Copying:
    """Copies splits on one connection, one after the other, in pieces of about ``part_bytes``."""

    def __init__(self, connection: Any, url: str, part_bytes: int, stopping: Callable[[], bool]) -> None:
        self._pgconn = connection.pgconn
        self._url = url
        self._part_bytes = part_bytes
        self._stopping = stopping

    def parts(self, split: Split) -> Iterator[tuple[Part, int]]:
        """Each with its size in bytes; ends early when stopping."""
        if not self._begin(split):
            return
        decoder = CopyDecoder([column.copied for column in split.columns])
        for rows in copied_rows(self._pgconn, self._part_bytes, self._stopping, self._url):
            batch, refused = decoder.decode(rows.data, rows.count)
            batch, refused = _cast(batch, refused, split.columns)
            yield replace(part_of(split.table, batch, refused), split=split.number), batch.nbytes
            if self._stopping():
                return

    def _begin(self, split: Split) -> bool:
        """False if stopping: the server answers only when it has some rows, which may take long."""
        import psycopg
        from psycopg.pq import ExecStatus

        try:
            self._pgconn.send_query(split.statement.encode())
            while self._pgconn.is_busy():
                if select.select([self._pgconn.socket], [], [], _WAIT_S)[0]:
                    self._pgconn.consume_input()
                elif self._stopping():
                    return False
        except psycopg.Error as error:
            raise failure(error, self._url) from None
        result = self._pgconn.get_result()
        if result.status != ExecStatus.COPY_OUT:
            code = (result.error_field(67) or b"").decode()
            raise said(result.error_message.decode("utf-8", "replace").strip(), code, self._url)
        return True


def _cast(
    batch: pa.RecordBatch, refused: np.ndarray, columns: Sequence[CopiedColumn]
) -> tuple[pa.RecordBatch, np.ndarray]:
    """Columns that came as text and become something else: decimals of more than 38 digits."""
    for place, column in enumerate(columns):
        if column.info.type == column.copied.type:
            continue
        array, bad = _decimals(batch.column(place), column.info.type)
        refused = np.where((refused == 0) & bad, place + 1, refused)
        batch = batch.set_column(place, pa.field(column.info.name, column.info.type), array)
    return batch, refused


def _decimals(texts: pa.Array, kind: pa.DataType) -> tuple[pa.Array, np.ndarray]:
    import pyarrow.compute as pc

    none = pc.fill_null(pc.is_in(texts, pa.array(["NaN", "Infinity", "-Infinity"])), False)
    return pc.if_else(none, pa.scalar(None, pa.string()), texts).cast(kind), none.to_numpy(zero_copy_only=False)
