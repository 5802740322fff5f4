"""Named places where a crash test stops the world.

Every step of every commit calls ``hit("component.step")``. In production that is one attribute
look-up and a return. The environment variable ``INGEST_FAILPOINTS`` (``name`` or ``name*count``,
comma-separated) makes the count-th hit of a name end the process as ``kill -9`` does, for crash
tests of whole programs; a test in the same process installs an action of its own.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

Action = Callable[[], None]


def kill_self() -> None:
    """Ends this process as a power switch would: no handlers, no flush."""
    os.kill(os.getpid(), signal.SIGKILL)


class FailPoints:
    """A set of armed points. Thread-safe; an empty one costs one comparison per hit."""

    def __init__(self) -> None:
        self._armed: dict[str, tuple[int, Action]] = {}
        self._lock = threading.Lock()

    @classmethod
    def from_environment(cls) -> FailPoints:
        """Reads ``INGEST_FAILPOINTS``, for example ``log.append.written*3,lake.manifest.put``."""
        points = cls()
        for item in filter(None, os.environ.get("INGEST_FAILPOINTS", "").split(",")):
            name, _, count = item.partition("*")
            points.arm(name.strip(), kill_self, count=int(count or 1))
        return points

    def arm(self, name: str, action: Action, *, count: int = 1) -> None:
        """The ``count``-th hit of ``name`` runs ``action`` once, in the thread that hit it."""
        self._armed[name] = (count, action)

    def hit(self, name: str) -> None:
        """Called by the code under test at the named step."""
        if not self._armed:
            return
        with self._lock:
            armed = self._armed.get(name)
            if armed is None:
                return
            count, action = armed
            if count > 1:
                self._armed[name] = (count - 1, action)
                return
            del self._armed[name]
        action()
