"""The ``tcp`` source: lines over TCP and TLS."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from ingest.connectors import SourceConnector, SourceTask
from ingest.sources.listening.connection import Connection
from ingest.sources.listening.connections import ConnectionDoor
from ingest.sources.listening.intake import Intake
from ingest.sources.listening.reception import Outside, Reception
from ingest.sources.listening.settings import ListenSettings
from ingest.sources.listening.task import ListeningTask
from ingest.sources.listening.tls import server_context
from ingest.sources.messages.lines import Lines

_ENDS = {"line-feed": b"\n", "nul": b"\0"}


class TcpSettings(ListenSettings):
    """Settings of the ``tcp`` source."""

    delimiter: Literal["line-feed", "nul"] = Field(
        "line-feed",
        description="What ends a message. Of lines a carriage return before the line feed is taken off, too; an "
        "empty line is a record.",
    )


class TcpSource(SourceConnector):
    """Lines that programs send over TCP or TLS, each a record; who sent it stands in the header `ingest.peer`.

    TCP has no way to say what is on disk: lines on their way are lost when this side is killed. Senders wait
    while the hub is full. With `--until-caught-up` it does not listen.
    """

    Settings = TcpSettings
    needs_topic = True

    def __init__(self, settings: TcpSettings) -> None:
        self._settings = settings
        self._reception = Reception(settings, socket.SOCK_STREAM, self._door)

    def check(self, base_folder: Path) -> None:
        if self._settings.tls is not None:
            server_context(self._settings.tls, base_folder)
        self._reception.check(base_folder)

    def tasks(self, most: int) -> Sequence[SourceTask]:
        return [ListeningTask("tcp", self._settings, self._reception)]

    def _door(self, bound: socket.socket, intake: Intake, outside: Outside, base_folder: Path) -> ConnectionDoor:
        settings = self._settings
        end = _ENDS[settings.delimiter]

        def new(peer: str, lost: Callable[[Connection], None]) -> Connection:
            return Connection(peer, lost, intake, Lines(settings.max_message, split=settings.split, end=end))

        return ConnectionDoor(
            bound,
            intake,
            new,
            tls=server_context(settings.tls, base_folder) if settings.tls else None,
            most=settings.connections,
            idle_ms=settings.idle,
        )
