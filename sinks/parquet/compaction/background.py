"""Compaction beside a running sink: a thread with a store of its own, which looks from time to time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ingest.clock import Clock
from ingest.sinks.parquet.compaction.compactor import Result

Report = Callable[[str], None]


class BackgroundCompaction:
    """What goes wrong is told, once for each cause, and tried again next time: the sink goes on. ``make_run`` is
    called by the thread, with the event that asks it to stop."""

    def __init__(
        self, make_run: Callable[[threading.Event], Callable[[], Result]], every_ms: int, clock: Clock, report: Report
    ) -> None:
        self._make_run = make_run
        self._every_ms = every_ms
        self._clock = clock
        self._report = report
        self._told: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="compaction", daemon=True)

    def start(self) -> None:
        """Returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Returns soon: a merge that is at work is given up, and has changed nothing."""
        self._stopping.set()
        self._thread.join()

    def _loop(self) -> None:
        run: Callable[[], Result] | None = None
        while not self._clock.wait(self._stopping, self._every_ms):
            try:
                run = run or self._make_run(self._stopping)
                for problem in run().problems:
                    self._tell(problem)
            except Exception as error:  # whatever it is, a sink that delivers is worth more than large files
                self._tell(error)
                run = None

    def _tell(self, error: Exception) -> None:
        text = f"compaction: {error}"
        if text not in self._told:
            self._told.add(text)
            self._report(text)
