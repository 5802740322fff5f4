"""A folder into which exports are dropped, a pipeline from its objects to files, and what must come out."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections import Counter
from pathlib import Path

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

PIPELINE = """\
name: landing
hub: ./data
sources:
  - name: exports
    type: files
    url: ./landing
    min_age: 0
    every: 20ms
    topic: rows
    max_batch: 4KiB
    csv: {{types: {{id: int64, n: int32}}}}
{after}sinks:
  - name: out
    type: files
    topics: [rows]
    url: ./lake
    partition_by: [word]
    roll: {{rows: 300, interval: 100ms}}
{sink}errors: {{tolerance: dead-letter, topic: landing.dead}}
"""
WORDS = ["alpha", "beta", "gamma"]


class LandingSite:
    """Each row has a number of its own; a few rows of CSV and JSON cannot be read, and end as dead letters."""

    def __init__(self, folder: Path, dice: random.Random, *, after: dict[str, str], sink: dict[str, str]) -> None:
        self.folder = folder
        self.landing = folder / "landing"
        self.landing.mkdir(parents=True)
        self.pipeline = folder / "pipeline.yaml"
        self.pipeline.write_text(PIPELINE.format(after=_lines(after), sink=_lines(sink)))
        self.lake = folder / "lake"
        self.good: Counter[int] = Counter()
        self.bad: Counter[str] = Counter()
        self._dice = dice
        self._next = 0
        self._objects = 0

    def drop(self, count: int) -> None:
        """One object of so many rows, which appears whole."""
        make, suffix = self._dice.choice(
            [(self._csv, ".csv"), (self._json, ".jsonl.gz"), (_parquet, ".parquet"), (_avro, ".avro")]
        )
        content = make([self._row() for _ in range(count)])
        self._objects += 1
        name = f"export-{self._objects:05}{suffix}"
        unfinished = self.landing / f"{name}.tmp"
        unfinished.write_bytes(content)
        unfinished.rename(self.landing / name)

    def _row(self) -> dict[str, object]:
        number, self._next = self._next, self._next + 1
        self.good[number] += 1
        return {"id": number, "word": self._dice.choice(WORDS), "n": number % 1000}

    def _csv(self, rows: list[dict[str, object]]) -> bytes:
        lines = [f'{row["id"]},"{row["word"]}",{row["n"]}' for row in rows]
        return "\n".join(["id,word,n", *self._with_bad(lines), ""]).encode()

    def _json(self, rows: list[dict[str, object]]) -> bytes:
        return gzip.compress("\n".join(self._with_bad([json.dumps(row) for row in rows])).encode())

    def _with_bad(self, lines: list[str]) -> list[str]:
        if self._dice.random() < 0.5:
            self._next += 1
            bad = f"broken line number {self._next}"
            self.bad[bad] += 1
            lines.insert(self._dice.randrange(len(lines)), bad)
        return lines


def _parquet(rows: list[dict[str, object]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=100)
    return sink.getvalue()


def _avro(rows: list[dict[str, object]]) -> bytes:
    fields = [{"name": name, "type": kind} for name, kind in (("id", "long"), ("word", "string"), ("n", "int"))]
    sink = io.BytesIO()
    fastavro.writer(sink, {"type": "record", "name": "row", "fields": fields}, rows, sync_interval=1000)
    return sink.getvalue()


def _lines(settings: dict[str, str]) -> str:
    return "".join(f"    {name}: {value}\n" for name, value in settings.items())
