"""The floor of the main job: read, parse with our own kernel, write with pyarrow; no log, no guarantee."""

from __future__ import annotations

import sys

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from ingest.connectors import Records
from ingest.transforms.parse import Parse

BLOCK_BYTES = 8 * 1024 * 1024
ROW_GROUP_ROWS = 131_072


def main(log: str, target: str) -> None:
    """One process, one thread."""
    parse = Parse(Parse.Settings.model_validate({"format": "combined"}))
    lines = csv.open_csv(
        log,
        read_options=csv.ReadOptions(column_names=["line"], block_size=BLOCK_BYTES, use_threads=False),
        parse_options=csv.ParseOptions(delimiter="\x01", quote_char=False),
        convert_options=csv.ConvertOptions(column_types={"line": pa.string()}),
    )
    writer, pending, rows = None, [], 0
    for batch in lines:
        for records in parse.apply(Records(value=batch.column(0)), {}).records:
            columns = records.columns()
            if writer is None:
                writer = pq.ParquetWriter(target, columns.schema, compression="zstd")
            pending.append(columns)
            rows += columns.num_rows
            if rows >= ROW_GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(pending))
                pending, rows = [], 0
    assert writer is not None
    if pending:
        writer.write_table(pa.Table.from_batches(pending))
    writer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
