"""What all sockets of a source hand their messages to."""

from __future__ import annotations

from collections.abc import Callable

from ingest.clock import Clock
from ingest.sources.listening.address import AllowList
from ingest.sources.messages.arrival import Arrival
from ingest.sources.messages.cut import Cut
from ingest.sources.messages.inbox import Inbox
from ingest.sources.messages.notices import Notices

Origin = tuple[tuple[str, bytes], ...]

PEER = "ingest.peer"


class Intake:
    """Used by the thread of the sockets. ``full`` is set when the inbox takes no more: then nothing must be read."""

    def __init__(self, inbox: Inbox, allow: AllowList, notices: Notices, clock: Clock) -> None:
        self._inbox = inbox
        self._clock = clock
        self.allow = allow
        self.notices = notices
        self.on_full: Callable[[], None] = lambda: None

    def take(self, cut: Cut, origin: Origin, receipt: Callable[[], None] | None = None) -> None:
        """Puts messages, and what can be none, into the inbox."""
        if cut and not self._inbox.put(Arrival(cut.messages, self._clock.now_ms(), origin, cut.refused, receipt)):
            self.on_full()

    def now_ms(self) -> int:
        """For time-outs."""
        return self._clock.monotonic_ms()
