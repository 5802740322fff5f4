"""The source ``postgres_cdc`` in a test: run step by step as the engine does, with what it delivered kept."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servers.postgres import PostgresServer

from ingest.connectors import EndOfInput, Polled, SourceContext, SourceTask
from ingest.environment import Environment
from ingest.failpoints import FailPoints
from ingest.sources.postgres_cdc.connector import PostgresCdcSource

PATIENCE_S = 60


class Capture:
    """A source named ``shop`` on one database; ``positions``, ``records`` and ``dead`` are what a hub would hold."""

    def __init__(self, server: PostgresServer, url: str, **settings: Any) -> None:
        self.server, self.url = server, url
        self.settings = {"url": url, "tables": ["*"], **settings}
        self.positions: dict[str, Any] = {}
        self.records: list[tuple[str, Any, Any]] = []
        self.dead: list[tuple[dict[str, Any], str]] = []
        self.reports: list[str] = []
        self.environment = Environment(fail=FailPoints())
        self._parts: list[Polled] = []

    def execute(self, *statements: str) -> list[Any]:
        return self.server.execute(*statements, url=self.url)

    @contextmanager
    def opened(
        self, *, until_caught_up: bool = True, batch_bytes: int = 1 << 20, topic: str = "{schema}.{table}"
    ) -> Iterator[SourceTask]:
        """A task that goes on from ``positions``."""
        task = PostgresCdcSource(PostgresCdcSource.Settings(**self.settings)).tasks(1)[0]
        context = SourceContext(
            name="shop",
            base_folder=Path(),
            environment=self.environment,
            until_caught_up=until_caught_up,
            max_batch_bytes=batch_bytes,
            stopping=threading.Event(),
            report=self.reports.append,
            topic=topic,
        )
        try:
            task.open(context, dict(self.positions))
            yield task
        finally:
            self._parts = []
            task.close()

    def step(self, task: SourceTask, *, tell: bool = True) -> bool:
        """One poll, committed; false if it brought nothing."""
        polled = task.poll()
        if polled is None:
            return False
        self._parts.append(polled)
        if polled.open:
            return True
        positions = {}
        for part in self._parts:
            self._keep(part)
            positions |= part.positions
        self._parts = []
        self.positions |= json.loads(json.dumps(positions))
        if tell:
            task.committed(positions)
        return True

    def run(self, **how: Any) -> list[tuple[str, Any, Any]]:
        """Until caught up; returns the records that came."""
        before = len(self.records)
        with self.opened(**how) as task:
            deadline = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline:
                try:
                    self.step(task)
                except EndOfInput:
                    return self.records[before:]
        raise AssertionError("the source never caught up")

    def until(self, task: SourceTask, reached: Callable[[], bool], *, tell: bool = True) -> None:
        """Steps until something holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not reached():
            assert time.monotonic() < deadline, (self.positions, self.records[-3:])
            self.step(task, tell=tell)

    def slot(self, columns: str = "confirmed_flush_lsn::text") -> Any:
        """One column of the slot ``ingest_shop``; None if it is not there."""
        rows = self.execute(f"SELECT {columns} FROM pg_replication_slots WHERE slot_name = 'ingest_shop'")
        return rows[0][0] if rows else None

    def _keep(self, polled: Polled) -> None:
        for records in polled.records:
            keys = [None] * len(records) if records.key is None else records.key.to_pylist()
            for key, value in zip(keys, records.value.to_pylist(), strict=True):
                self.records.append((records.topic, None if key is None else json.loads(key), value))
        for dead in polled.dead:
            contents = [json.loads(content) for content in dead.records.value.to_pylist()]
            self.dead += list(zip(contents, dead.reasons, strict=True))


def told(records: list[tuple[str, Any, Any]]) -> list[tuple[Any, ...]]:
    """(op, before, after) of each record; None for a tombstone."""
    return [None if value is None else (value["op"], value["before"], value["after"]) for _, _, value in records]


def drop_slots(server: PostgresServer) -> None:
    """A walsender whose client is gone needs a moment to notice."""
    deadline = time.monotonic() + PATIENCE_S
    while slots := server.execute("SELECT slot_name, active_pid FROM pg_replication_slots"):
        assert time.monotonic() < deadline, slots
        for name, pid in slots:
            server.execute(
                f"SELECT pg_terminate_backend({pid})" if pid else f"SELECT pg_drop_replication_slot('{name}')"
            )
