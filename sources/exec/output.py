"""What a command has written: its lines in the inbox, its errors in reports; from one run to the next."""

from __future__ import annotations

from ingest.clock import Clock
from ingest.errors import ConnectorError
from ingest.sources.exec.process import Process
from ingest.sources.messages.arrival import Arrival
from ingest.sources.messages.cut import Cut
from ingest.sources.messages.inbox import Inbox
from ingest.sources.messages.lines import Lines
from ingest.sources.messages.notices import Notices

_ERROR_BYTES = 2_000
"""A longer line on standard error is told in pieces."""


class Output:
    """Lives as long as one process: a line that it leaves without its end is a line."""

    def __init__(self, process: Process, lines: Lines, inbox: Inbox, notices: Notices, clock: Clock) -> None:
        self.process = process
        self._lines = lines
        self._errors = Lines(_ERROR_BYTES, split=True, blank=False)
        self._inbox = inbox
        self._notices = notices
        self._clock = clock
        self.started_ms = clock.monotonic_ms()
        self.last_error = ""

    def take(self, wait_ms: int) -> bool:
        """Reads once; returns whether the command has ended and all of its output is taken."""
        exited = self.process.exit_code is not None
        out, errors = self.process.read(0 if exited else wait_ms)
        if out:
            self._put(self._lines.feed(out))
        if errors:
            self._tell(self._errors.feed(errors))
        if not exited or out or errors:
            return False
        self._put(self._lines.end(clean=True))
        self._tell(self._errors.end(clean=True))
        return True

    def _put(self, cut: Cut) -> None:
        if cut:
            self._inbox.put(Arrival(cut.messages, self._clock.now_ms(), (), cut.refused))

    def _tell(self, cut: Cut) -> None:
        for line in cut.messages:
            self.last_error = line.decode("utf-8", "replace")
            self._notices.note("on standard error", self.last_error)

    def failure(self) -> ConnectorError:
        """What the exit means where it is an error."""
        said = f"; its last words: {self.last_error}" if self.last_error else ""
        return ConnectorError(
            f"the command {exit_text(self.process.exit_code or 0)}{said}", hint="all its output was taken"
        )


def exit_text(code: int) -> str:
    """How it ended, in words."""
    return f"was ended by signal {-code}" if code < 0 else f"has ended with exit code {code}"
