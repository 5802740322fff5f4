"""A run's figures in the task's log, at intervals."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any


class ProgressLog:
    """``tick`` is called often and says something seldom."""

    def __init__(
        self,
        status: Callable[[], dict[str, Any] | None],
        say: Callable[[str], None],
        every: timedelta,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._status = status
        self._say = say
        self._every_s = every.total_seconds()
        self._clock = clock
        self._said_s = clock()

    def tick(self) -> None:
        """Says how far each task is, if it is time to."""
        now_s = self._clock()
        if now_s - self._said_s < self._every_s:
            return
        self._said_s = now_s
        status = self._status()
        for task in status["tasks"] if status else ():
            self._say(_line(task))


def _line(task: dict[str, Any]) -> str:
    parts = [
        f"{task['task']}: {task['state']}",
        f"{task['records']} records",
        f"{task['records_per_second']:.0f} a second",
        f"{task['commits']} commits",
        f"{task['dead_letters']} dead letters",
    ]
    if task["lag"]:
        parts.append("behind by " + ", ".join(f"{number} {unit}" for unit, number in task["lag"].items()))
    if task["last_error"]:
        parts.append(f"last error: {task['last_error']}")
    return ", ".join(parts)
