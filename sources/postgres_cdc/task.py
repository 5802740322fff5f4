"""The task of the source ``postgres_cdc``: an intent, a slot, a snapshot, then the stream."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace

import numpy as np

from ingest import __version__
from ingest.connectors import EndOfInput, Polled, Position, SourceContext, SourceTask
from ingest.errors import ConnectorError
from ingest.sources.databases.heartbeat import Heartbeat
from ingest.sources.postgres.failures import judged
from ingest.sources.postgres.message_feed import put_frame
from ingest.sources.postgres_cdc.database import Database, wants
from ingest.sources.postgres_cdc.decoding import Decoder
from ingest.sources.postgres_cdc.identity import check_same
from ingest.sources.postgres_cdc.incremental import Incremental
from ingest.sources.postgres_cdc.place import STREAM, Place, place_of
from ingest.sources.postgres_cdc.replication import Replication
from ingest.sources.postgres_cdc.settings import PostgresCdcSettings
from ingest.sources.postgres_cdc.slot import check_resumable
from ingest.sources.postgres_cdc.snapshot import Snapshot
from ingest.sources.postgres_cdc.source_fields import SourceFields
from ingest.sources.postgres_cdc.stream import Stream
from ingest.sources.postgres_cdc.tables import StreamedTables

_WAIT_MS = 300
_LEAST_BUFFER, _MOST_BUFFER = 512, 4 * 1024 * 1024
_ADVANCE_MS = 10_000


class PostgresCdcTask(SourceTask):
    """One position for all tables (see ``Place``), for the log has one order."""

    def __init__(self, settings: PostgresCdcSettings) -> None:
        self._settings = settings
        self._resources = ExitStack()

    def open(self, context: SourceContext, positions: Mapping[str, Position]) -> None:
        with judged(self._settings.url):
            self._open(context, positions)

    def _open(self, context: SourceContext, positions: Mapping[str, Position]) -> None:
        self._context = context
        self._clock = context.environment.clock
        self._slot = self._settings.slot_for(context.name)
        self._snapshot: Snapshot | None = None
        self._stream: Stream | None = None
        self._incremental: Incremental | None = None
        self._handed = self._place = place_of(positions[STREAM]) if STREAM in positions else None
        self._database = Database(self._settings.url)
        self._resources.callback(self._database.close)
        self._database.check()
        self._replication = Replication(self._settings.url, context.environment)
        self._resources.callback(self._replication.close)
        self._identity = self._replication.identify()
        self._tables = self._database.tables(self._settings)
        self._fields = SourceFields(__version__, context.name, self._identity.database)
        if self._place is None and self._settings.snapshot != "only":
            self._database.check_free(self._slot)
        elif self._place is not None and self._place.state == "streaming":
            publication = self._settings.publication_for(context.name)
            check_same(self._place, self._slot, publication, self._identity, self._replication.timeline_history)
            check_resumable(self._database.slot(self._slot), self._place, self._identity.end)
        self._publish()
        self._target = self._database.log_end() if context.until_caught_up else 0
        if self._place is not None and self._place.state == "streaming":
            self._follow(self._place)

    def poll(self) -> Polled | None:
        with judged(self._settings.url):
            return self._poll()

    def _poll(self) -> Polled | None:
        if self._snapshot is not None:
            return self._snapshot_step(self._snapshot)
        if self._stream is not None:
            return self._stream_step(self._stream)
        if self._place is None:
            return self._intend()
        if self._place.state == "read":
            raise EndOfInput
        return self._begin(self._place)

    def committed(self, positions: Mapping[str, Position | None]) -> None:
        position = positions.get(STREAM)
        if position is not None and position["state"] == "streaming" and self._stream is not None:
            self._replication.confirm(place_of(position).end)

    def lag(self) -> Mapping[str, int] | None:
        """``bytes``: of the server's log that this source has not confirmed; ``held_bytes``: that it keeps for it."""
        if self._stream is None:
            return None
        try:
            held = self._database.held_back(self._slot)
        except ConnectorError:
            return None
        return None if held is None else {"bytes": max(0, held[0]), "held_bytes": max(0, held[1])}

    def close(self) -> None:
        self._resources.close()

    # -- until there is a stream

    def _intend(self) -> Polled:
        """Says which slot will be made, before it is: if it is never read, it is known as ours."""
        self._place = Place(
            "intent",
            self._identity.system,
            self._identity.timeline,
            self._identity.database,
            self._slot,
            self._settings.publication_for(self._context.name),
        )
        return Polled((), {STREAM: self._place.as_position()})

    def _begin(self, intent: Place) -> Polled | None:
        """Makes the slot, or makes it anew: nothing was read from it."""
        if self._settings.snapshot == "only":
            self._read_tables(replace(intent, state="read"), None)
            return None
        self._database.drop_slot(intent.slot)
        made = self._replication.make_slot(self._slot, self._context.stopping.is_set)
        self._context.environment.fail.hit("postgres_cdc.slot.made")
        if made is None:
            return None
        place = replace(intent, slot=self._slot).streaming(made.start)
        if self._settings.snapshot == "initial":
            self._read_tables(place, made.snapshot)
            return None
        self._follow(place)
        self._handed = place
        return Polled((), {STREAM: place.as_position()})

    def _read_tables(self, behind: Place, snapshot: str | None) -> None:
        self._snapshot = Snapshot(self._settings, self._context, self._tables, self._fields, behind, snapshot)
        self._resources.callback(self._snapshot.close)

    def _snapshot_step(self, snapshot: Snapshot) -> Polled | None:
        step = snapshot.poll()
        if step is not None and not step.open:
            snapshot.close()
            self._snapshot, self._place = None, snapshot.behind
            if self._place.state == "streaming":
                self._follow(self._place)
        return step

    def _publish(self) -> None:
        if self._settings.snapshot != "only":
            name = self._settings.publication_for(self._context.name)
            begun = self._place is not None and self._place.state == "streaming"
            signals = self._database.signal_table(self._settings)
            tables = [*self._tables, *([] if signals is None else [signals])]
            for sentence in self._database.published(name, tables, begun=begun):
                self._context.report(sentence)

    # -- the stream

    def _follow(self, place: Place) -> None:
        tables = StreamedTables(wants(self._settings), self._database.connection)
        self._stream = Stream(place, self._settings, self._context, tables, Decoder(self._fields))
        if self._settings.signals is not None:
            self._incremental = Incremental(self._settings, self._context, self._database, self._fields)
        self._handed = place
        size = max(_LEAST_BUFFER, min(self._context.max_batch_bytes // 4, _MOST_BUFFER))
        self._memory = np.empty(size, np.uint8)
        self._left = b""
        self._advanced_ms = self._clock.monotonic_ms()
        self._heartbeat = Heartbeat(self._settings, self._context, STREAM)
        self._replication.start(place.slot, place.publication, place.end)
        if self._context.until_caught_up:
            self._replication.ask_for_reply()

    def _stream_step(self, stream: Stream) -> Polled | None:
        data = self._taken()
        records, dead, reply = stream.take(data)
        if self._incremental is not None:
            records, dead = self._incremental.step(stream, records, dead)
        records += self._heartbeat.due()
        place = stream.place
        done = self._is_caught_up(stream)
        if records or dead or (place != self._handed and (done or reply or self._is_due(place))):
            self._handed = place
            self._advanced_ms = self._clock.monotonic_ms()
            return Polled(records, {STREAM: place.as_position()}, dead)
        if done:
            raise EndOfInput
        waits = self._context.until_caught_up or (self._incremental is not None and self._incremental.waits)
        if reply or (waits and not len(data)):
            self._replication.ask_for_reply()
        return None

    def _is_caught_up(self, stream: Stream) -> bool:
        reached = stream.place.end >= self._target and stream.place.reading is None
        return self._context.until_caught_up and stream.between_transactions and reached

    def _taken(self) -> np.ndarray:
        """The next messages, as frames; none if none came for a while."""
        if len(self._left) + 4 > len(self._memory):
            self._memory = np.empty(len(self._left) + 4, np.uint8)
        at = put_frame(self._memory, 0, self._left) if self._left else 0
        end, self._left = self._replication.take(self._memory, at, _WAIT_MS)
        return self._memory[:end]

    def _is_due(self, place: Place) -> bool:
        """Whether it is time to commit a place although there was no change: so that the server may forget the log
        that is of no interest here."""
        asked = self._handed is None or place.reading != self._handed.reading
        return asked or self._clock.monotonic_ms() - self._advanced_ms >= _ADVANCE_MS
