"""How long opening a table of many commits takes, with a checkpoint and without.

    python -m benchmarks.open_table [--commits 100000] [--live 1000]

The manifests are made without data files (opening reads none): each commit lists one file; compactions have merged
all but the last ``--live`` into one. With ``--live`` equal to ``--commits`` nothing was ever merged. CPU seconds of
``open_dataset`` in this process, best of three.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.connectors import TopicPartition
from ingest.environment import Environment
from ingest.sinks.lake import manifest
from ingest.sinks.lake.checkpoint import look, remove_checkpoints, write_checkpoint
from ingest.sinks.lake.manifest import DataFile, Entry, Range, StoredFile
from ingest.sinks.lake.names import compacted_name, compactions_of, data_name, entry_path
from ingest.sinks.lake.reading import open_dataset
from ingest.sinks.lake.target import open_store

OWNER = "site~lake"
SCHEMA = pa.schema([pa.field(name, pa.string()) for name in ("host", "path", "agent")] + [pa.field("id", pa.int64())])


def file_of(path: str, first: int, last: int) -> DataFile:
    return DataFile(StoredFile(path, 1000, "00000000", temporary="gone"), last - first + 1, "access", 0, first, last)


def commit(number: int) -> Entry:
    file = file_of(data_name(OWNER, "access", 0, number, 1), number * 10, number * 10 + 9)
    return Entry(
        kind="commit",
        sequence=number,
        writer="w",
        epoch=1,
        pipeline="site",
        sink="lake",
        hub_id="hub",
        written_ms=0,
        commit=number,
        topic_ids={"access": "id"},
        ranges=(Range("access", 0, number * 10, number * 10 + 10),),
        offsets={TopicPartition("access", 0): number * 10 + 10},
        files=(file,),
        schemas={"access": SCHEMA},
    )


def put(root: Path, owner: str, entry: Entry) -> None:
    path = root / entry_path(owner, entry.sequence)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(manifest.encode(entry))


def make(root: Path, commits: int, live: int) -> None:
    entries = [commit(number) for number in range(1, commits + 1)]
    for entry in entries:
        put(root, OWNER, entry)
    merged = [file for entry in entries[: commits - live] for file in entry.files]
    paths = [entries[-1].files[0].stored.path]
    if merged:
        new = file_of(compacted_name(merged[0].stored.path, 1), 10, merged[-1].last_offset)
        retires = tuple(file.stored.path for file in merged)
        put(
            root,
            compactions_of(OWNER),
            Entry("compact", 1, "c", 0, "site", "lake", "hub", 0, files=(new,), retires=retires),
        )
        paths.append(new.stored.path)
    for path in paths:
        pq.write_table(SCHEMA.empty_table(), root / path)


def opening_s(root: Path) -> float:
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        open_dataset(str(root), root)
        best = min(best, time.process_time() - started)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=100_000)
    parser.add_argument("--live", type=int, default=1_000)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="open-table-"))
    try:
        make(root, options.commits, options.live)
        store = open_store(str(root), root, Environment())
        print(f"{options.commits} commits, {options.live} files not merged")
        print(f"without a checkpoint {opening_s(root):7.2f} s CPU")
        started = time.process_time()
        write_checkpoint(store, OWNER, look(store, OWNER))
        print(f"writing one          {time.process_time() - started:7.2f} s CPU")
        print(f"with a checkpoint    {opening_s(root):7.2f} s CPU")
        remove_checkpoints(store, OWNER)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
