"""How far an import is."""

from __future__ import annotations

import threading

import pyarrow as pa

from ingest.sources.databases.parts import Part
from ingest.sources.databases.tables import TableInfo
from ingest.sources.sql.tally import Tally

TABLE = TableInfo("public", "t", "t")


class Clock:
    ms = 0

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms

    def wait(self, event: threading.Event, timeout_ms: int) -> bool:
        return False


def part(rows: int, split: int) -> Part:
    return Part(TABLE, pa.RecordBatch.from_arrays([pa.array(range(rows), pa.int64())], ["id"]), split=split)


def test_each_split_is_told_with_rows_bytes_rate_and_the_time_that_is_left() -> None:
    clock, said = Clock(), []
    tally = Tally(clock, said.append, {"public.t": 10_000})
    tally.add(part(1000, 1))
    tally.add(part(2000, 2))
    clock.ms = 10_000
    tally.add(part(1000, 1))
    assert said == [
        "public.t, split 1: 2,000 rows, 0.0 MB, 200 rows/s",
        "public.t, split 2: 2,000 rows, 0.0 MB, 200 rows/s",
        "about 6,000 rows and 15 s are left",
    ]
    assert tally.left() == {"rows": 6000, "ms": 15_000}


def test_nothing_is_said_of_what_nobody_knows() -> None:
    assert Tally(Clock(), print, {}).left() is None
