"""Appending to and reading from one partition, held against bare system calls with the same bytes.

    python -m benchmarks.append [--records 1000000] [--rounds 7] [--folder /dev/shm]

Batches of about 1 MiB. Rounds are interleaved and each figure is the best of its rounds, in CPU seconds (user and
system); what syncs is measured by the wall instead, since it waits for the disk. The budgets: appending encoded
batches at most 1.3 times ``pwrite``; encoding and appending 100 bytes at least 10 million records a second; group
commit (a sync each 16 MiB, in a thread of its own) at most 1.3 times the same without any sync, on bulk; reading at
most 1.3 times ``pread``. The first folder measured is in memory, so that the disk's mood stays out; give ``--folder``
a disk for the group commit.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from ingest.environment import Environment
from ingest.log.partition import PartitionLog
from ingest.log.topic_config import TopicConfig
from ingest.wire.codec import encode_batch
from ingest.wire.columns import RecordColumns

BATCH_BYTES = 1 << 20
GROUP_BYTES = 16 << 20
NOW_MS = 1_770_000_000_000

Clock = Callable[[], float]


class Bench:
    """The same records as columns and as batches, and a fresh folder for each piece of work."""

    def __init__(self, size: int, count: int, folder: Path) -> None:
        rows = BATCH_BYTES // (size + 10)
        self.pieces = [columns(size, min(rows, count - start)) for start in range(0, count, rows)]
        self.batches = [encode_batch(piece) for piece in self.pieces]
        self.count = count
        self.folder = Path(tempfile.mkdtemp(prefix="append-", dir=folder))
        self.kept = self.open("kept")
        for batch in self.batches:
            self.kept.append(batch, now_ms=NOW_MS, check_crc=False)
        self.kept.sync()

    def open(self, name: str) -> PartitionLog:
        config = TopicConfig.parse({"max.message.bytes": "4MiB", "message.timestamp.after.max.ms": str(2**62)})
        return PartitionLog.open(self.folder / f"{name}-0", name, 0, config, Environment())

    def pwrite(self, clock: Clock, *, sync: bool = False) -> float:
        path = self.folder / "bare"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        start, at = clock(), 0
        for batch in self.batches:
            at += os.pwrite(fd, batch, at)
        if sync:
            os.fdatasync(fd)
        seconds = clock() - start
        os.close(fd)
        path.unlink()
        return seconds

    def append(self, clock: Clock, *, check_crc: bool = False) -> float:
        log = self.open("t")
        start = clock()
        for batch in self.batches:
            log.append(batch, now_ms=NOW_MS, check_crc=check_crc)
        seconds = clock() - start
        log.delete()
        return seconds

    def encode_and_append(self, clock: Clock, *, sync: bool = False) -> float:
        """With ``sync``, another thread syncs each time ``GROUP_BYTES`` have come together, and at the end."""
        log = self.open("t")
        due, done = threading.Semaphore(0), threading.Event()

        def keep_syncing() -> None:
            while due.acquire() and not done.is_set():
                log.sync()

        syncer = threading.Thread(target=keep_syncing)
        syncer.start()
        start, unsynced = clock(), 0
        for piece in self.pieces:
            batch = encode_batch(piece)
            log.append(batch, now_ms=NOW_MS, check_crc=False)
            unsynced += len(batch)
            if sync and unsynced >= GROUP_BYTES:
                due.release()
                unsynced = 0
        done.set()
        due.release()
        syncer.join()
        if sync:
            log.sync()
        seconds = clock() - start
        log.delete()
        return seconds

    def pread(self, clock: Clock) -> float:
        fd = os.open(next((self.folder / "kept-0").glob("*.log")), os.O_RDONLY)
        start, at = clock(), 0
        while chunk := os.pread(fd, BATCH_BYTES, at):
            at += len(chunk)
        seconds = clock() - start
        os.close(fd)
        return seconds

    def read(self, clock: Clock) -> float:
        start, offset = clock(), 0
        while offset < self.kept.high_watermark:
            offset = self.kept.read(offset, BATCH_BYTES, committed=True).end
        return clock() - start

    def close(self) -> None:
        self.kept.close(clean=False)
        shutil.rmtree(self.folder)


def columns(size: int, count: int) -> RecordColumns:
    dice = np.random.default_rng(7)
    data, offsets = dice.integers(32, 127, count * size, np.uint8), np.arange(count + 1, dtype=np.int32) * size
    values = pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    return RecordColumns(values=values, timestamps=np.full(count, NOW_MS, np.int64))


def measure(work: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The best time of each piece of work, which measures itself."""
    best = dict.fromkeys(work, float("inf"))
    for _ in range(rounds):
        for name, do in work.items():
            best[name] = min(best[name], do())
    return best


def report(size: int, bench: Bench, rounds: int) -> None:
    cpu, wall = time.process_time, time.perf_counter
    best = measure(
        {
            "pwrite": lambda: bench.pwrite(cpu),
            "append": lambda: bench.append(cpu),
            "append, CRC checked": lambda: bench.append(cpu, check_crc=True),
            "encode and append": lambda: bench.encode_and_append(cpu),
            "pread": lambda: bench.pread(cpu),
            "read": lambda: bench.read(cpu),
            "pwrite and one fdatasync, by the wall": lambda: bench.pwrite(wall, sync=True),
            "encode and append, by the wall": lambda: bench.encode_and_append(wall),
            "with group commit, by the wall": lambda: bench.encode_and_append(wall, sync=True),
        },
        rounds,
    )
    against = {"append": "pwrite", "append, CRC checked": "pwrite", "read": "pread",
               "with group commit, by the wall": "encode and append, by the wall"}  # fmt: skip
    print(f"\n{bench.count:,} records of {size} bytes")
    for name, seconds in best.items():
        ratio = f"  {seconds / best[against[name]]:5.2f} x {against[name]}" if name in against else ""
        print(f"{name:38}{seconds:8.3f} s{bench.count / seconds / 1e6:9.1f} M records/s{ratio}")


def main() -> None:
    """Prints a table for values of 100 bytes and of 1 KiB."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--records", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--folder", type=Path, default=Path("/dev/shm") if Path("/dev/shm").is_dir() else None)
    chosen = options.parse_args()
    for size, count in ((100, chosen.records), (1024, max(chosen.records // 10, 1))):
        bench = Bench(size, count, chosen.folder)
        try:
            report(size, bench, chosen.rounds)
        finally:
            bench.close()


if __name__ == "__main__":
    main()
