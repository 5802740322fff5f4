"""Readers that wait until a partition shows them more."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ingest.log.partition import PartitionLog


class Watchers:
    """Events by partition. Thread-safe; with nobody waiting, ``changed`` costs one look-up."""

    def __init__(self) -> None:
        self._events: dict[PartitionLog, set[threading.Event]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def watching(self, logs: Iterable[PartitionLog]) -> Iterator[threading.Event]:
        """An event that is set by each change of one of ``logs`` until the block is left.

        Look at the logs after entering: what changes from then on is not missed.
        """
        event = threading.Event()
        watched = list(logs)
        with self._lock:
            for log in watched:
                self._events.setdefault(log, set()).add(event)
        try:
            yield event
        finally:
            with self._lock:
                for log in watched:
                    self._forget(log, event)

    def is_watched(self, log: PartitionLog) -> bool:
        """Whether a reader waits for ``log``."""
        return log in self._events

    def changed(self, log: PartitionLog) -> None:
        """Wakes who waits for ``log``: it may show more now."""
        if log in self._events:
            with self._lock:
                for event in self._events.get(log, ()):
                    event.set()

    def wake_all(self) -> None:
        """Wakes everybody, for the store is closing."""
        with self._lock:
            for events in self._events.values():
                for event in events:
                    event.set()

    def _forget(self, log: PartitionLog, event: threading.Event) -> None:
        events = self._events.get(log)
        if events is not None:
            events.discard(event)
            if not events:
                del self._events[log]
