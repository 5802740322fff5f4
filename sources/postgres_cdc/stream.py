"""Pieces of the stream as steps of the source: each with the place behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from ingest.connectors import DeadRecords, Origin, Records, SourceContext
from ingest.sources.databases.changes import Changes, records_of
from ingest.sources.databases.tables import TableInfo
from ingest.sources.postgres_cdc.decoding import Decoder, Refused, grouped
from ingest.sources.postgres_cdc.messages import Carried, Scanned, scanned
from ingest.sources.postgres_cdc.place import STREAM, Place
from ingest.sources.postgres_cdc.relation import relation_in
from ingest.sources.postgres_cdc.settings import PostgresCdcSettings
from ingest.sources.postgres_cdc.tables import StreamedTables


class Stream:
    """Follows the stream from a place; what that place says is taken already is passed over."""

    def __init__(
        self,
        place: Place,
        settings: PostgresCdcSettings,
        context: SourceContext,
        tables: StreamedTables,
        decoder: Decoder,
    ) -> None:
        self.place = place
        self._settings = settings
        self._context = context
        self._tables = tables
        self._decoder = decoder
        self._carried = Carried()
        self._ended = 0
        self._in_order = "{table}" not in context.topic

    @property
    def between_transactions(self) -> bool:
        """Whether none has begun and not ended."""
        return not self._carried.inside

    def take(self, data: np.ndarray) -> tuple[list[Records], list[DeadRecords], bool]:
        """The records of the messages that fill ``data``, in order; moves ``place``. And whether the server wants to
        hear from us. Raises ``DecodeFailed``, ``ConnectorError``."""
        piece = scanned(data, self._carried)
        taken = self._not_taken_before(piece)
        before = self._ends_before(piece)
        now_ms = self._context.environment.clock.now_ms()
        records: list[Records] = []
        dead: list[DeadRecords] = []
        for first, last, described in self._segments(piece):
            if described is not None:
                self._tables.describe(relation_in(bytes(data[described[0] : sum(described)])))
            within = np.zeros(len(taken), bool)
            within[first:last] = taken[first:last]
            for number, places in grouped(piece, within, in_order=self._in_order):
                table = self._tables.get(number)
                if table is None:
                    continue
                changes, refused = self._decoder.changes(data, piece, places, table, before=before, now_ms=now_ms)
                if len(changes):
                    records.append(self.records(changes))
                if refused is not None:
                    dead.append(self.dead(refused))
        self._move(piece)
        return records, dead, piece.reply

    def records(self, changes: Changes) -> Records:
        """In their envelope."""
        made = records_of(
            changes,
            source=self._context.name,
            topic=self._context.topic,
            envelope=self._settings.envelope,
            tombstones=self._settings.tombstones,
        )
        return replace(made, stream=STREAM)

    def dead(self, refused: Refused) -> DeadRecords:
        """As dead letters of the table's topic."""
        return dead_records(self._context, refused.table, refused.contents, refused.reasons)

    def _not_taken_before(self, piece: Scanned) -> np.ndarray:
        commit = piece.commits[piece.transaction]
        again = (commit == self.place.commit) & (piece.number < self.place.done)
        taken: np.ndarray = (commit >= self.place.end) & ~again
        return taken

    def _ends_before(self, piece: Scanned) -> np.ndarray:
        """For each transaction where the one before it ended; 0 where that is not known."""
        ends = np.concatenate(([self._ended], piece.ends))
        if piece.ends.any():
            self._ended = int(piece.ends[piece.ends > 0][-1])
        return ends[:-1]

    def _segments(self, piece: Scanned) -> list[tuple[int, int, tuple[int, int] | None]]:
        """From one description of a table to the next: first change, last, and place and length of the description."""
        starts = [(0, None), *((first, (place, length)) for first, place, length in piece.relations)]
        ends = [first for first, _ in starts[1:]] + [len(piece.relation)]
        return [(first, last, described) for (first, described), last in zip(starts, ends, strict=True)]

    def _move(self, piece: Scanned) -> None:
        self._carried = piece.carried
        end = max(self.place.end, piece.end, int(piece.ends.max(initial=0)))
        if not self._carried.inside or self._carried.commit < end:
            self.place = self.place.streaming(end)
            return
        same = self._carried.commit == self.place.commit
        done = max(self._carried.done, self.place.done) if same else self._carried.done
        self.place = self.place.streaming(end, self._carried.commit, done)


def dead_records(
    context: SourceContext, table: TableInfo, contents: Sequence[bytes], reasons: Sequence[str]
) -> DeadRecords:
    """Rows or changes with a value that its type cannot hold."""
    records = Records(
        value=pa.array(contents, pa.binary()),
        topic=table.topic(context.topic),
        stream=STREAM,
        origin=Origin(context.name, table.stream),
    )
    return DeadRecords(records, reasons, "read", "ValueOutOfRange")
