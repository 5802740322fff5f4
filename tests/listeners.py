"""Drives a source that listens, in the place of the engine: what is polled is committed at once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ingest.connectors import DeadRecords, Polled, Position, Records, SourceConnector, SourceContext
from ingest.environment import Environment
from ingest.sources.listening.task import ListeningTask

PATIENCE_S = 20


class Listener:
    """A running source; ``with`` closes it as a stopped run does."""

    def __init__(self, source: SourceConnector, folder: Path = Path(), batch_bytes: int = 1 << 20) -> None:
        self.source = source
        self.folder = folder
        self.batch_bytes = batch_bytes
        self.stopping = threading.Event()
        self.reports: list[str] = []
        self.records: list[Records] = []
        self.dead: list[DeadRecords] = []
        self.positions: dict[str, Position] = {}
        self.task = self._task()

    @property
    def address(self) -> tuple[str, int]:
        address = self.task._reception.address
        return address.host, address.port

    @property
    def texts(self) -> list[Any]:
        return [value for records in self.records for value in records.value.to_pylist()]

    @property
    def dead_bytes(self) -> list[bytes]:
        return [value for dead in self.dead for value in dead.records.value.to_pylist()]

    @property
    def reasons(self) -> list[str]:
        return [reason for dead in self.dead for reason in dead.reasons]

    @property
    def headers(self) -> list[Mapping[str, bytes]]:
        each = [headers for records in self.records for headers in records.headers.to_pylist()]
        return [{entry["key"]: entry["value"] for entry in headers} for headers in each]

    def __enter__(self) -> Listener:
        self.task.open(self._context(), self.positions)
        return self

    def __exit__(self, *failure: object) -> None:
        self.stopping.set()
        self.task.close()

    def fail_and_reopen(self) -> None:
        """As the engine after a retriable failure: a new task of the same connector."""
        self.task.close()
        self.task = self._task()
        self.task.open(self._context(), self.positions)

    def poll(self) -> Polled | None:
        polled = self.task.poll()
        if polled is not None:
            self.commit(polled)
        return polled

    def commit(self, polled: Polled) -> None:
        self.records += polled.records
        self.dead += polled.dead
        self.positions.update({name: value for name, value in polled.positions.items() if value is not None})
        self.task.committed(polled.positions)

    def until(self, condition: Callable[[], object]) -> None:
        """Polls until it is true."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, (self.texts[-5:], self.dead_bytes[-5:], self.reports)
            self.poll()

    def messages(self, count: int) -> list[Any]:
        self.until(lambda: len(self.texts) >= count)
        return self.texts

    def stop(self) -> None:
        """As the engine stops a task."""
        self.stopping.set()
        while (polled := self.task.drain()) is not None:
            self.commit(polled)
        self.task.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=PATIENCE_S)

    def _task(self) -> ListeningTask:
        task = self.source.tasks(1)[0]
        assert isinstance(task, ListeningTask)
        return task

    def _context(self) -> SourceContext:
        return SourceContext(
            "net",
            self.folder,
            Environment(),
            max_batch_bytes=self.batch_bytes,
            stopping=self.stopping,
            report=self.reports.append,
        )
