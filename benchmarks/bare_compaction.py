"""The least that merging Parquet files can be: read them all, write one with the same settings. No checksum, no
sync, no manifest.

    python benchmarks/bare_compaction.py FOLDER OUTPUT [--streamed]

Everything in memory at once, as one would write it down; ``--streamed`` takes one file after the other with one
thread, and a row group at a time.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 131_072
SETTINGS = {"compression": "zstd", "version": "2.6", "write_page_index": True, "write_page_checksum": True}


def at_once(files: list[Path], output: Path) -> None:
    pq.write_table(pq.read_table(files), output, row_group_size=ROW_GROUP, **SETTINGS)


def streamed(files: list[Path], output: Path) -> None:
    waiting: list[pa.Table] = []
    with pq.ParquetWriter(output, pq.read_schema(files[0]), **SETTINGS) as writer:
        for number, file in enumerate(files):
            waiting.append(pq.ParquetFile(file).read(use_threads=False))
            if sum(map(len, waiting)) >= ROW_GROUP or number == len(files) - 1:
                table = pa.concat_tables(waiting)
                writer.write_table(table, row_group_size=len(table))
                waiting = []


if __name__ == "__main__":
    rewrite = streamed if "--streamed" in sys.argv else at_once
    rewrite(sorted(Path(sys.argv[1]).glob("*.parquet")), Path(sys.argv[2]))
