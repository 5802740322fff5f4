"""What the Parquet sink costs beside a bare ``pyarrow`` writer of the same rows.

    python benchmarks/parquet_write.py [--rows 1000000] [--batch 18000] [--rounds 5]

All variants write the same columns of an access log (``benchmarks/formats.py``), in turn within each round, in one
process; the numbers are CPU seconds (all threads; median of the rounds), the ratio to the bare writer, and the size
of the files. The bare writer takes row groups of 131 072 rows with the same codec and does nothing else: no
checksums, no sync, no manifest, no position.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from formats import access_log

from ingest.connectors import TIMESTAMP, Delivery, Records, SinkContext
from ingest.environment import Environment
from ingest.sinks.lake.task import LakeTask
from ingest.sinks.parquet.file_format import ParquetFormat
from ingest.sinks.parquet.settings import ParquetSettings

DAY_MS = 86_400_000


def deliveries(column: pa.StructArray, batch: int) -> list[Delivery]:
    """As a hub would deliver them: four days in a row."""
    days = np.arange(len(column)) * 4 // len(column)
    times = pa.array(1_700_000_000_000 + days * DAY_MS).cast(TIMESTAMP)
    found = []
    for start in range(0, len(column), batch):
        value = column.slice(start, batch)
        end = start + len(value)
        offsets = pa.array(np.arange(start, end))
        records = Records(
            value=value, topic="access", timestamp=times.slice(start, batch), offsets=offsets, partition=0
        )
        found.append(Delivery("access", 0, start, end, [records]))
    return found


def bare(column: pa.StructArray, folder: Path, codec: str, level: int | None) -> None:
    table = pa.Table.from_batches([pa.RecordBatch.from_struct_array(column)])
    with pq.ParquetWriter(folder / "bare.parquet", table.schema, compression=codec, compression_level=level) as writer:
        writer.write_table(table, row_group_size=131_072)


def sink(work: list[Delivery], folder: Path, **settings: object) -> None:
    parsed = ParquetSettings.model_validate({"url": str(folder / "lake"), **settings})
    task = LakeTask(parsed, ParquetFormat(parsed))
    task.open(SinkContext("bench", "lake", "hub", {"access": "id"}, 1, folder, Environment()))
    for delivery in work:
        task.put(delivery)
        task.flush()
    task.flush(force=True)
    task.close()


def measure(variants: dict[str, Callable[[Path], None]], rounds: int) -> dict[str, tuple[float, float, float]]:
    """Name -> CPU seconds, wall seconds, megabytes of files; the first round is not counted."""
    cpu: dict[str, list[float]] = {name: [] for name in variants}
    wall: dict[str, list[float]] = {name: [] for name in variants}
    size: dict[str, float] = {}
    for _ in range(rounds + 1):
        for name, run in variants.items():
            folder = Path(tempfile.mkdtemp(prefix="parquet-write-"))
            before, started = time.process_time(), time.perf_counter()
            run(folder)
            cpu[name].append(time.process_time() - before)
            wall[name].append(time.perf_counter() - started)
            size[name] = sum(file.stat().st_size for file in folder.rglob("*.parquet")) / 1e6
            shutil.rmtree(folder)
    return {
        name: (statistics.median(cpu[name][1:]), statistics.median(wall[name][1:]), size[name]) for name in variants
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=18_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    column = access_log(options.rows, random.Random(1))
    work = deliveries(column, options.batch)
    variants: dict[str, Callable[[Path], None]] = {
        "bare pyarrow, zstd": lambda folder: bare(column, folder, "zstd", None),
        "sink": lambda folder: sink(work, folder),
        "sink, by day": lambda folder: sink(work, folder, partition_by=["day(timestamp)"]),
        "sink, by day, status and method": lambda folder: sink(
            work, folder, partition_by=["day(timestamp)", "status", "method"]
        ),
        "bare pyarrow, zstd level 3": lambda folder: bare(column, folder, "zstd", 3),
        "bare pyarrow, snappy": lambda folder: bare(column, folder, "snappy", None),
    }
    found = measure(variants, options.rounds)
    base = found["bare pyarrow, zstd"][0]
    print(f"{options.rows} rows in batches of {options.batch}; {column.nbytes / 1e6:.0f} MB in memory")
    for name, (cpu_s, wall_s, megabytes) in found.items():
        print(f"{name:34} {cpu_s:6.2f} s CPU {wall_s:6.2f} s wall {cpu_s / base:5.2f} x {megabytes:7.1f} MB")


if __name__ == "__main__":
    main()
