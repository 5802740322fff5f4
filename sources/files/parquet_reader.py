"""Parquet, row group by row group, a batch of rows in memory at a time. The place is ``{"row": number}``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.sources.files.pieces import ObjectReader, Piece, Unreadable

_LEAST_ROWS = 64


class ParquetReader(ObjectReader):
    """A resume reads again what stands before its row in the same row group, and nothing else."""

    def __init__(self, file: IO[bytes], place: Mapping[str, Any]) -> None:
        self._file = file
        self._row = int(place.get("row", 0))
        try:
            self._parquet = pq.ParquetFile(file, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise Unreadable(f"it is no Parquet file: {error}") from None
        self._batches: Iterator[pa.RecordBatch] | None = None
        self._left: pa.RecordBatch | None = None

    def read(self, max_bytes: int) -> Piece | None:
        if self._batches is None:
            self._batches = self._all(max_bytes)
        try:
            batch = self._left if self._left is not None else next(self._batches, None)
        except (pa.ArrowException, OSError) as error:
            raise Unreadable(f"after row {self._row}: {error}") from None
        if batch is None:
            return None
        take = max(1, min(batch.num_rows, batch.num_rows * max_bytes // max(1, batch.nbytes)))
        self._left = batch.slice(take) if take < batch.num_rows else None
        at = pa.array(np.arange(self._row, self._row + take, dtype=np.int64))
        self._row += take
        value = pa.StructArray.from_arrays(batch.slice(0, take).columns, fields=list(batch.schema))
        return Piece(value, at, {"row": self._row})

    def close(self) -> None:
        self._parquet.close()
        self._file.close()

    def _all(self, max_bytes: int) -> Iterator[pa.RecordBatch]:
        skip = self._row
        metadata = self._parquet.metadata
        for group in range(metadata.num_row_groups):
            about = metadata.row_group(group)
            if skip >= about.num_rows:
                skip -= about.num_rows
                continue
            row_bytes = max(1, about.total_byte_size // max(1, about.num_rows))
            size = max(_LEAST_ROWS, min(64 * 1024, max_bytes // row_bytes))
            for batch in self._parquet.iter_batches(batch_size=size, row_groups=[group], use_threads=False):
                if skip >= batch.num_rows:
                    skip -= batch.num_rows
                    continue
                yield batch.slice(skip)
                skip = 0
