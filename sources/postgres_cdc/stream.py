"""Pieces of the stream as steps of the source: each with the place behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.connectors import DeadRecords, Origin, Records, SourceContext
from ingest.sources.databases.changes import Changes, records_of
from ingest.sources.databases.tables import TableInfo
from ingest.sources.postgres_cdc.decoding import Decoder, grouped
from ingest.sources.postgres_cdc.messages import Carried, Scanned, scanned
from ingest.sources.postgres_cdc.place import STREAM, Place
from ingest.sources.postgres_cdc.relation import relation_in
from ingest.sources.postgres_cdc.settings import PostgresCdcSettings
from ingest.sources.postgres_cdc.tables import StreamedTables
from ingest.sources.postgres_cdc.transactions import Transactions


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
        self.signals: list[dict[str, Any]] = []
        """Rows that the last piece has added to the table of signals."""
        self.touched: dict[str, list[np.ndarray]] = {}
        """By table: the transactions of the changes in the last piece."""
        self._in_order = "{table}" not in context.topic
        topic = settings.transaction_topic
        self._transactions = Transactions(topic, context.name, tables.name_of) if topic else None

    @property
    def between_transactions(self) -> bool:
        """Whether none has begun and not ended."""
        return not self._carried.inside

    def take(self, data: np.ndarray) -> tuple[list[Records], list[DeadRecords], bool]:
        """The records of the messages that fill ``data``, in order; moves ``place``. And whether the server wants to
        hear from us. Raises ``DecodeFailed``, ``ConnectorError``."""
        self.signals, self.touched = [], {}
        piece = scanned(data, self._carried)
        taken = self._not_taken_before(piece)
        before = self._ends_before(piece)
        records: list[Records] = []
        dead: list[DeadRecords] = []
        if self._transactions is not None:
            self._transactions.begin(piece, inside=self._carried.inside)
        for first, last, described in _segments(piece):
            if described is not None:
                self._tables.describe(relation_in(bytes(data[described[0] : sum(described)])))
            if self._transactions is not None:
                self._transactions.count(piece, first, last)
            within = np.zeros(len(taken), bool)
            within[first:last] = taken[first:last]
            self._decode(data, piece, within, before, records, dead)
        if self._transactions is not None and (told := self._transactions.records(piece, self.place)) is not None:
            records.append(told)
        self._move(piece)
        return records, dead, piece.reply

    def _decode(
        self,
        data: np.ndarray,
        piece: Scanned,
        within: np.ndarray,
        before: np.ndarray,
        records: list[Records],
        dead: list[DeadRecords],
    ) -> None:
        now_ms = self._context.environment.clock.now_ms()
        for number, places in grouped(piece, within, in_order=self._in_order):
            table = self._tables.get(number)
            if table is None:
                continue
            self.touched.setdefault(table.table.stream, []).append(piece.xids[piece.transaction[places]])
            told = None if self._transactions is None else self._transactions.of_changes(piece, places)
            changes, refused = self._decoder.changes(
                data, piece, places, table, before=before, now_ms=now_ms, transaction=told
            )
            if table.table.stream == self._settings.signal_table:
                added = zip(changes.op.to_pylist(), changes.after.to_pylist(), strict=True)
                self.signals += [row for op, row in added if op == "c"]
                continue
            if len(changes):
                records.append(self._records(changes))
            if refused is not None:
                dead.append(dead_records(self._context, refused.table, refused.contents, refused.reasons))

    def _records(self, changes: Changes) -> Records:
        made = records_of(
            changes,
            source=self._context.name,
            topic=self._context.topic,
            envelope=self._settings.envelope,
            tombstones=self._settings.tombstones,
        )
        return replace(made, stream=STREAM)

    def _not_taken_before(self, piece: Scanned) -> np.ndarray:
        commit = piece.commits[piece.transaction]
        again = (commit == self.place.commit) & (piece.number < self.place.done)
        taken: np.ndarray = (commit >= max(self.place.end, self.place.commit)) & ~again
        return taken

    def _ends_before(self, piece: Scanned) -> np.ndarray:
        """For each transaction where the one before it ended; 0 where that is not known."""
        ends = np.concatenate(([self._ended], piece.ends))
        if piece.ends.any():
            self._ended = int(piece.ends[piece.ends > 0][-1])
        return ends[:-1]

    def _move(self, piece: Scanned) -> None:
        """Past the piece. What the place says of a transaction that was taken in part stays until it has ended: the
        server may say how far it is before it sends that one again."""
        self._carried = piece.carried
        end = max(self.place.end, piece.end, int(piece.ends.max(initial=0)))
        commit, done = self.place.commit, self.place.done
        if self._carried.inside and self._carried.commit >= max(end, commit):
            done = max(self._carried.done, done if self._carried.commit == commit else 0)
            commit = self._carried.commit
        elif commit < end:
            commit, done = 0, 0
        self.place = self.place.streaming(end, commit, done)


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


def _segments(piece: Scanned) -> list[tuple[int, int, tuple[int, int] | None]]:
    """From one description of a table to the next: first change, last, and place and length of the description."""
    starts = [(0, None), *((first, (place, length)) for first, place, length in piece.relations)]
    ends = [first for first, _ in starts[1:]] + [len(piece.relation)]
    return [(first, last, described) for (first, described), last in zip(starts, ends, strict=True)]
