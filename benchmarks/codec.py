"""Records to batches and back, in CPU seconds, held against a plain copy of the values' bytes.

    python -m benchmarks.codec [--records 1000000] [--rounds 7]

Keys of 10 bytes, times a millisecond apart, batches of about 1 MiB, CRC included in both directions, decoding into
fresh Arrow arrays. Rounds are interleaved; of each batch the best round counts, for noise only ever adds. ``twin`` is
the numpy codec that runs where no compiler is. The budget is stated for a machine that copies 177 M values of 100
bytes a second; the column ``of copy`` carries it to another one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.wire import codec, codec_compiled, codec_numpy
from ingest.wire.batch import read_header
from ingest.wire.columns import RecordColumns

BATCH_BYTES = 1 << 20
COPY_IN_BUDGET = 177.0
BUDGET = {"encode": 40.0, "decode": 30.0, "twin encode": 3.0, "twin decode": 2.0}


def main() -> None:
    """Prints a table for values of 100 bytes and of 1 KiB."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--records", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=7)
    chosen = options.parse_args()
    for size, count in ((100, chosen.records), (1024, max(chosen.records // 10, 1))):
        report(size, measure(size, count, chosen.rounds))


def measure(size: int, count: int, rounds: int) -> dict[str, float]:
    """Million records per CPU second of each piece of work."""
    pieces = columns(size, count)
    values = [np.frombuffer(piece.values.buffers()[2], np.uint8) for piece in pieces]
    copies = [np.empty_like(part) for part in values]
    batches = [codec.encode_batch(piece) for piece in pieces]
    work: dict[str, Callable[[int], Any]] = {"copy": lambda number: np.copyto(copies[number], values[number])}
    for name, kernel in (("", codec_compiled), ("twin ", codec_numpy)):
        work[f"{name}encode"] = partial(encode, kernel, pieces)
        work[f"{name}decode"] = partial(decode, kernel, batches)
    best = {name: [float("inf")] * len(pieces) for name in work}
    for _ in range(rounds):
        for name, do in work.items():
            for number in range(len(pieces)):
                start = time.process_time()
                do(number)
                best[name][number] = min(best[name][number], time.process_time() - start)
    return {name: count / sum(seconds) / 1e6 for name, seconds in best.items()}


def columns(size: int, count: int) -> list[RecordColumns]:
    """Records of one batch each."""
    rows = BATCH_BYTES // (size + 20)
    dice = np.random.default_rng(7)
    made = []
    for start in range(0, count, rows):
        here = min(rows, count - start)
        data, offsets = dice.integers(32, 127, here * size, np.uint8), np.arange(here + 1, dtype=np.int32) * size
        made.append(
            RecordColumns(
                values=pa.Array.from_buffers(pa.binary(), here, [None, pa.py_buffer(offsets), pa.py_buffer(data)]),
                timestamps=np.arange(start, start + here) + 1_770_000_000_000,
                keys=pa.array([b"%010d" % number for number in range(start, start + here)]),
            )
        )
    return made


def encode(kernel: Any, pieces: list[RecordColumns], number: int) -> None:
    codec.kernel = kernel
    codec.encode_batch(pieces[number])


def decode(kernel: Any, batches: list[bytearray], number: int) -> None:
    codec.kernel = kernel
    codec.decode_batch(batches[number], read_header(batches[number]))


def report(size: int, rates: dict[str, float]) -> None:
    print(f"\nvalues of {size} bytes     M records/s      MB/s   of copy")
    for name, rate in rates.items():
        wanted = f"   budget {BUDGET[name] / COPY_IN_BUDGET:.3f}" if size == 100 and name in BUDGET else ""
        print(f"  {name:<20} {rate:>12.2f} {rate * size:>9.0f} {rate / rates['copy']:>9.3f}{wanted}")


if __name__ == "__main__":
    main()
