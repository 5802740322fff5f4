"""What one poll collects."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from ingest.connectors import DeadRecords, Origin, Polled, Position, Records
from ingest.sources.file.lines import Cut
from ingest.sources.file.rules import Dead
from ingest.sources.file.stream import Stream


class Batch:
    """Records and dead letters of several streams; positions are taken when the poll is over."""

    def __init__(self, source: str, host: bytes) -> None:
        self._source = source
        self._host = host
        self._records: list[Records] = []
        self._dead: list[DeadRecords] = []
        self._streams: dict[str, Stream] = {}

    def __len__(self) -> int:
        return len(self._records) + len(self._dead)

    def add(self, stream: Stream, made: Cut) -> None:
        """What was cut from ``stream`` just now."""
        if len(made.value):
            self._records.append(self._as_records(stream, made.value, pa.array(made.positions, pa.int64())))
        for letter in made.dead:
            self.add_dead(stream, letter)
        if made.consumed or made.carry:
            self._streams[stream.name] = stream

    def add_dead(self, stream: Stream, letter: Dead) -> None:
        """Lines of ``stream`` that cannot go on."""
        records = self._as_records(stream, letter.value, pa.array(letter.positions, pa.int64()))
        self._dead.append(DeadRecords(records, [letter.reason] * len(records), "read", letter.error))
        self._streams[stream.name] = stream

    def polled(self, moved: Iterable[Stream], forgotten: Iterable[str]) -> Polled | None:
        """All of it, with the positions of ``moved`` streams and tombstones; None if that is nothing."""
        positions: dict[str, Position | None] = dict.fromkeys(forgotten)
        for stream in (*self._streams.values(), *moved):
            if stream.name not in positions:
                positions[stream.name] = stream.position.as_json()
        return Polled(self._records, positions, self._dead) if positions else None

    def _as_records(self, stream: Stream, value: pa.Array, positions: pa.Array) -> Records:
        path = stream.position.path
        modified_ms = stream.file.found.mtime_ns // 1_000_000 if stream.file else None
        return Records(
            value=value,
            common_headers=(("ingest.file", path.encode()), ("ingest.host", self._host)),
            stream=stream.name,
            origin=Origin(self._source, path, modified_ms),
            positions=positions,
        )
