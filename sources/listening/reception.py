"""The sockets and the inbox of one source. They outlive a failed attempt of its task, so nothing that was taken in
is lost by it, and nobody finds the door closed."""

from __future__ import annotations

import socket
import weakref
from collections.abc import Callable
from pathlib import Path

from ingest.connectors import SourceContext
from ingest.errors import ConnectorError, SystemUnavailable
from ingest.sources.listening.address import Address, AllowList, bound_socket, parse_address
from ingest.sources.listening.door import Door
from ingest.sources.listening.intake import Intake
from ingest.sources.listening.loop_thread import LoopThread
from ingest.sources.listening.settings import ListenSettings
from ingest.sources.messages.inbox import Inbox
from ingest.sources.messages.notices import Notices

Outside = Callable[[Callable[..., object]], Callable[..., None]]
"""Makes of a function that must run in the thread of the sockets one that may be called in any."""

OpenDoor = Callable[[socket.socket, Intake, Outside, Path], Door]

_TICK_S = 1


class Reception:
    """Opened by the first attempt; closed when the run stops, or with the connector that owns it."""

    def __init__(self, settings: ListenSettings, kind: socket.SocketKind, open_door: OpenDoor) -> None:
        self._settings = settings
        self._kind = kind
        self._open_door = open_door
        self._sockets: _Sockets | None = None
        self.inbox = Inbox(settings.queue)

    @property
    def address(self) -> Address:
        """Where it listens; the port is the one that the system chose, if that was asked for."""
        return self._sockets.door.address if self._sockets else parse_address(self._settings.listen)

    def check(self, base_folder: Path) -> None:
        """Raises ``ConnectorError`` if it could not listen here."""
        self._bound().close()

    def open(self, context: SourceContext) -> None:
        """Listens from now on; does nothing but to take over the reports if it does already."""
        if self._sockets is not None:
            self._sockets.notices.report = context.report
            return
        notices = Notices(context.environment.clock, context.report)
        self._sockets = self._start(notices, context)
        weakref.finalize(self, self._sockets.close)

    def farewell(self) -> None:
        """Lets nobody in any more; what has been sent is still read."""
        if self._sockets is not None:
            self._sockets.thread.call(self._sockets.door.farewell)

    def pause(self) -> None:
        """Reads nothing any more, whatever room there is."""
        self.inbox.on_room = _noop
        if self._sockets is not None:
            self._sockets.thread.call(self._sockets.door.pause)

    def close(self) -> None:
        """Closes every socket. May be called again."""
        if self._sockets is not None:
            self._sockets.close()
            self._sockets = None

    def _start(self, notices: Notices, context: SourceContext) -> _Sockets:
        thread = LoopThread(f"sockets of {context.name}", lambda sentence: notices.note("unexpected", sentence))
        try:
            intake = Intake(self.inbox, AllowList(self._settings.allow_from), notices, context.environment.clock)
            sockets = _Sockets(thread, self._door(intake, thread, context), intake)
        except BaseException:
            thread.stop(_nothing)
            raise
        self.inbox.on_room = lambda: thread.call(sockets.door.resume)
        return sockets

    def _door(self, intake: Intake, thread: LoopThread, context: SourceContext) -> Door:
        bound = self._bound()
        try:
            return self._open_door(
                bound, intake, lambda inside: lambda *given: thread.call(inside, *given), context.base_folder
            )
        except BaseException:
            bound.close()
            raise

    def _bound(self) -> socket.socket:
        address = parse_address(self._settings.listen)
        try:
            return bound_socket(address, self._kind)
        except PermissionError as error:
            raise ConnectorError(
                f"{address}: not allowed to listen there",
                hint="ports below 1024 need a privilege (CAP_NET_BIND_SERVICE); a port above needs none",
            ) from error
        except OSError as error:
            raise SystemUnavailable(f"cannot listen at {address}: {error.strerror or error}") from error


class _Sockets:
    """What runs in the thread; knows nothing of the reception, so that it ends with it."""

    def __init__(self, thread: LoopThread, door: Door, intake: Intake) -> None:
        self.thread = thread
        self.door = door
        self.notices = intake.notices
        intake.on_full = door.pause
        thread.wait_for(self._open())

    def close(self) -> None:
        self.thread.stop(self._close)

    async def _open(self) -> None:
        await self.door.open()
        self._tick()

    async def _close(self) -> None:
        await self.door.close()
        self.notices.flush(force=True)

    def _tick(self) -> None:
        self.door.tick()
        self.notices.flush()
        self.door.loop.call_later(_TICK_S, self._tick)


def _noop() -> None:
    return


async def _nothing() -> None:
    return
