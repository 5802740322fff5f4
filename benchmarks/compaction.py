"""What ``ingest compact`` costs beside a bare ``pyarrow`` rewrite of the same files.

    python -m benchmarks.compaction [--rows 3000000] [--commit 20000] [--rounds 5]

A table of small files is made once, by the sink; each run works on a copy of it. Both are whole processes, start
included, in turn; the numbers are GB (of the small files, and of their columns in memory) per CPU second, medians
of the rounds. There are two bare ones (``benchmarks/bare_compaction.py``): all in memory, and streamed by one
thread. The command also compares the checksum of every file, syncs, puts manifests and hides the old files;
they do none of that.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.formats import access_log
from benchmarks.whole_process import interleaved, median
from ingest.connectors import Delivery, Records, SinkContext
from ingest.environment import Environment
from ingest.sinks.lake.task import LakeTask
from ingest.sinks.parquet.file_format import ParquetFormat
from ingest.sinks.parquet.settings import ParquetSettings


def make_table(folder: Path, rows: int, commit: int) -> int:
    """A table of one file a commit; returns the bytes of its columns in memory."""
    column = access_log(rows, random.Random(1))
    settings = ParquetSettings(url=str(folder))
    task = LakeTask(settings, ParquetFormat(settings))
    task.open(SinkContext("bench", "lake", "hub", {"access": "id"}, 1, folder, Environment()))
    for start in range(0, rows, commit):
        value = column.slice(start, commit)
        end = start + len(value)
        records = Records(value=value, topic="access", partition=0, offsets=pa.array(range(start, end), pa.int64()))
        task.put(Delivery("access", 0, start, end, [records]))
        task.flush(force=True)
    task.close()
    return int(column.nbytes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--commit", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make is not None:
        print(make_table(options.make, options.rows, options.commit))
        return
    scratch = Path(tempfile.mkdtemp(prefix="compaction-"))
    try:
        # by another process: a child's peak memory is at least what its parent held when it was forked
        size = [f"--{name}={getattr(options, name)}" for name in ("rows", "commit")]
        making = [sys.executable, "-m", "benchmarks.compaction", f"--make={scratch / 'made'}", *size]
        made = subprocess.run(making, stdout=subprocess.PIPE, text=True, check=True)
        measure(scratch, int(made.stdout), options.rounds)
    finally:
        shutil.rmtree(scratch)


def measure(scratch: Path, memory_bytes: int, rounds: int) -> None:
    files = list((scratch / "made").glob("*.parquet"))
    file_bytes = sum(file.stat().st_size for file in files)
    work = scratch / "lake"

    def before(name: str) -> None:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(scratch / "made", work)

    bare = str(Path(__file__).with_name("bare_compaction.py"))
    runs = interleaved(
        {
            "bare, at once": [sys.executable, bare, str(work), str(scratch / "bare.parquet")],
            "bare, streamed": [sys.executable, bare, str(work), str(scratch / "bare.parquet"), "--streamed"],
            "ingest compact": [sys.executable, "-m", "ingest", "compact", str(work), "--json"],
        },
        rounds,
        before,
    )
    (merged,) = work.glob("*.parquet")
    assert pq.read_metadata(merged).num_rows == pq.read_metadata(scratch / "bare.parquet").num_rows
    print(f"{len(files)} files, {file_bytes / 1e6:.0f} MB, {memory_bytes / 1e6:.0f} MB in memory")
    base = min(median(runs[name], "cpu_s") for name in runs if name.startswith("bare"))
    for name, found in runs.items():
        cpu_s = median(found, "cpu_s")
        speed = f"{file_bytes / cpu_s / 1e9:6.3f} GB/CPU-s of files {memory_bytes / cpu_s / 1e9:6.3f} of columns"
        times = f"{cpu_s:6.2f} s CPU {median(found, 'wall_s'):6.2f} s wall {median(found, 'peak_mb'):6.0f} MB peak"
        print(f"{name:16} {times} {speed} {base / cpu_s:5.2f} x")


if __name__ == "__main__":
    main()
