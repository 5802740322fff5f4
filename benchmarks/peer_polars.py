"""The main job in Polars: one expression, all cores, no guarantee."""

from __future__ import annotations

import sys

import polars as pl

from benchmarks.main_job import PATTERN

NAMES = ["host", "ident", "user", "time", "method", "path", "protocol", "status", "bytes", "referer", "user_agent"]


def main(log: str, target: str) -> None:
    """Streams from file to file."""
    lines = pl.scan_csv(log, has_header=False, new_columns=["line"], separator="\x01", quote_char=None)
    groups = lines.select(pl.col("line").str.extract_groups(PATTERN).struct.rename_fields(NAMES).alias("g")).unnest("g")
    typed = groups.with_columns(
        pl.col("time").str.to_datetime("%d/%b/%Y:%H:%M:%S %z", time_unit="us", time_zone="UTC"),
        pl.col("status").cast(pl.Int32),
        pl.when(pl.col("bytes") == "-").then(None).otherwise(pl.col("bytes")).cast(pl.Int64).alias("bytes"),
    )
    typed.sink_parquet(target, compression="zstd", row_group_size=131_072)


if __name__ == "__main__":
    main(*sys.argv[1:])
