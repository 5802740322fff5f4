"""A replication connection: commands of the walsender, then a stream in both directions."""

from __future__ import annotations

import select
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from ingest.environment import Environment
from ingest.errors import SystemUnavailable
from ingest.sources.databases.tables import quoted
from ingest.sources.postgres.failures import failure, said
from ingest.sources.postgres.message_feed import BROKEN, taker
from ingest.sources.postgres.session import replicating
from ingest.sources.postgres_cdc.identity import Identity
from ingest.sources.postgres_cdc.place import lsn_number, lsn_text
from ingest.sources.postgres_cdc.times import since_2000_us

_WAIT_S = 0.2
_REPLY_EVERY_MS = 5_000
_PATIENCE = "SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'"
_FAREWELL_S = 2.0


class MadeSlot(NamedTuple):
    """All transactions that commit after ``start`` will come; the others are in ``snapshot``, as long as no other
    command is sent on the connection."""

    start: int
    snapshot: str


class Replication:
    """Commands first, then ``start``, then ``take`` and ``confirm``, which may be called by several threads."""

    def __init__(self, url: str, environment: Environment) -> None:
        self._url = url
        self._clock = environment.clock
        self._connection = replicating(url)
        self._pgconn = self._connection.pgconn
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._replier: threading.Thread | None = None
        self._confirmed = 0

    def identify(self) -> Identity:
        """Raises ``ConnectorError``."""
        system, timeline, end, database = self._row("IDENTIFY_SYSTEM", lambda: False) or ("", "0", "0/0", "")
        return Identity(system, int(timeline), lsn_number(end), database)

    def timeline_history(self, timeline: int) -> str:
        """Lines of an earlier timeline, the LSN up to which it went, and why it ended."""
        return (self._row(f"TIMELINE_HISTORY {timeline}", lambda: False) or ("", ""))[1]

    def make_slot(self, name: str, stopping: Callable[[], bool]) -> MadeSlot | None:
        """Waits until all transactions have ended that are running now; None if told to stop before."""
        row = self._row(f"CREATE_REPLICATION_SLOT {quoted(name)} LOGICAL pgoutput EXPORT_SNAPSHOT", stopping)
        return None if row is None else MadeSlot(lsn_number(row[1]), row[2])

    def start(self, slot: str, publication: str, end: int) -> None:
        """Asks for everything that was committed after ``end``. Raises ``ConnectorError``."""
        from psycopg.pq import ExecStatus

        patience_ms = int((self._row(_PATIENCE, lambda: False) or ("0",))[0])
        self._reply_every_ms = min(_REPLY_EVERY_MS, patience_ms // 4 or _REPLY_EVERY_MS)
        options = f"proto_version '1', publication_names {_literal(quoted(publication))}"
        command = f"START_REPLICATION SLOT {quoted(slot)} LOGICAL {lsn_text(end)} ({options})"
        self._pgconn.send_query(command.encode())
        result = self._answer(lambda: False)
        if result is None or result.status != ExecStatus.COPY_BOTH:
            raise self._said(result)
        self._confirmed = end
        self._take = taker(self._pgconn)
        self._replier = threading.Thread(target=self._reply_on, name="replication-replies", daemon=True)
        self._replier.start()

    def take(self, memory: np.ndarray, at: int, wait_ms: int) -> tuple[int, bytes]:
        """Messages as frames into ``memory`` from ``at`` on, until it is full or no more come; waits up to ``wait_ms``
        for the first. Returns where they end, and a message for which there was no room. Raises ``ConnectorError``."""
        with self._lock:
            outcome, end, _, left = self._take(memory, at, wait_ms)
        if outcome < 0 and end == at:
            raise self._end_of_stream(outcome)
        return end, left

    def confirm(self, end: int) -> None:
        """The server may forget what lies before ``end``; it is told at once. A connection that is broken is noticed
        by the next ``take``."""
        self._confirmed = max(self._confirmed, end)
        self._reply()

    @property
    def confirmed(self) -> int:
        """What the server was last told."""
        return self._confirmed

    def ask_for_reply(self) -> None:
        """A keepalive comes back, and says how far the server has read its log."""
        self._reply(ask=True)

    def close(self) -> None:
        """Says goodbye, so that the last confirmation is read before the connection ends."""
        self._ended.set()
        if self._replier is not None:
            self._replier.join()
            with suppress(Exception):
                self._farewell()
        self._connection.close()

    def _reply_on(self) -> None:
        """While nobody polls, too: the server gives up on who is silent for its ``wal_sender_timeout``."""
        while not self._clock.wait(self._ended, self._reply_every_ms):
            self._reply()

    def _reply(self, *, ask: bool = False) -> None:
        now_us = since_2000_us(self._clock.now_ms())
        message = struct.pack(">cqqqqB", b"r", *[self._confirmed] * 3, now_us, ask)
        with self._lock, suppress(Exception):
            self._pgconn.put_copy_data(message)
            self._pgconn.flush()

    def _farewell(self) -> None:
        self._reply()
        self._pgconn.put_copy_end()
        self._pgconn.flush()
        until = self._clock.monotonic_ms() + int(_FAREWELL_S * 1000)
        while self._clock.monotonic_ms() < until:
            size, _ = self._pgconn.get_copy_data(1)
            if size < 0:
                return
            if size == 0:
                select.select([self._pgconn.socket], [], [], _WAIT_S)
                self._pgconn.consume_input()

    def _row(self, command: str, stopping: Callable[[], bool]) -> tuple[str, ...] | None:
        from psycopg.pq import ExecStatus

        self._pgconn.send_query(command.encode())
        result = self._answer(stopping)
        if result is None:
            return None
        if result.status != ExecStatus.TUPLES_OK:
            raise self._said(result)
        row = tuple((result.get_value(0, field) or b"").decode() for field in range(result.nfields))
        while self._pgconn.get_result() is not None:
            pass
        return row

    def _answer(self, stopping: Callable[[], bool]) -> Any:
        """The first result; None if told to stop before."""
        import psycopg

        try:
            self._pgconn.flush()
            while self._pgconn.is_busy():
                if select.select([self._pgconn.socket], [], [], _WAIT_S)[0]:
                    self._pgconn.consume_input()
                elif stopping():
                    with suppress(psycopg.Error):
                        self._connection.cancel_safe(timeout=2)
                    return None
        except psycopg.Error as error:
            raise failure(error, self._url) from None
        return self._pgconn.get_result()

    def _end_of_stream(self, outcome: int) -> Exception:
        if outcome == BROKEN:
            text = self._pgconn.error_message.decode("utf-8", "replace").strip()
            return SystemUnavailable(f"the replication connection broke: {text}")
        with self._lock:
            return self._said(self._pgconn.get_result())

    def _said(self, result: Any) -> Exception:
        if result is None or not result.error_message:
            text = self._pgconn.error_message.decode("utf-8", "replace").strip()
            return SystemUnavailable(f"the server ended the replication: {text or 'it is shutting down'}")
        code = (result.error_field(67) or b"").decode()
        return said(result.error_message.decode("utf-8", "replace").strip(), code, self._url)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
