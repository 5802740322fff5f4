"""Wakes the source when the file system says that something happened. Never needed for correctness."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any


class Watch:
    """Events below some folders set ``wake``. A platform or folder that cannot be watched is polled only."""

    def __init__(self, roots: Mapping[str, bool], wake: threading.Event, report: Callable[[str], None]) -> None:
        from watchdog.events import FileSystemEvent, FileSystemEventHandler
        from watchdog.observers import Observer

        class Waker(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                wake.set()

        self._observer: Any = Observer()
        self._observer.daemon = True
        self._running = False
        try:
            self._observer.start()
            self._running = True
        except OSError as error:
            report(f"no file system events, files are polled: {error}")
            return
        for root, recursive in roots.items():
            self._schedule(Waker(), root, recursive, report)

    def _schedule(self, handler: Any, root: str, recursive: bool, report: Callable[[str], None]) -> None:
        from watchdog.events import (
            DirCreatedEvent,
            DirMovedEvent,
            FileCreatedEvent,
            FileDeletedEvent,
            FileModifiedEvent,
            FileMovedEvent,
        )

        # Without this, watchdog also tells of every file that we open and close ourselves.
        wanted = [
            DirCreatedEvent,
            DirMovedEvent,
            FileCreatedEvent,
            FileDeletedEvent,
            FileModifiedEvent,
            FileMovedEvent,
        ]
        try:
            self._observer.schedule(handler, root, recursive=recursive, event_filter=wanted)
        except OSError as error:
            report(f"no file system events of {root}, it is polled: {error}")

    def close(self) -> None:
        """Ends its thread."""
        if self._running:
            self._observer.stop()
            self._observer.join()
            self._running = False
