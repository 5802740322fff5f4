"""The door for connections, without a source behind it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from ingest.clock import SystemClock
from ingest.sources.listening import connections
from ingest.sources.listening.address import Address, AllowList, bound_socket
from ingest.sources.listening.connection import Connection
from ingest.sources.listening.connections import ConnectionDoor
from ingest.sources.listening.intake import Intake
from ingest.sources.messages.inbox import Inbox
from ingest.sources.messages.lines import Lines
from ingest.sources.messages.notices import Notices

ANSWER = b"x" * (16 * 2**20)
"""More than the system keeps for a receiver that does not read."""


class Answering(Connection):
    """Answers each piece with more than fits."""

    def receive(self, data: bytes) -> None:
        self.write(ANSWER)


def door() -> ConnectionDoor:
    intake = Intake(Inbox(1 << 20), AllowList([]), Notices(SystemClock(), print), SystemClock())

    def new(peer: str, lost: Callable[[Connection], None]) -> Connection:
        return Answering(peer, lost, intake, Lines(1000, split=False))

    return ConnectionDoor(
        bound_socket(Address("127.0.0.1", 0), socket.SOCK_STREAM), intake, new, tls=None, most=10, idle_ms=0
    )


async def meet(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"?")
    await reader.readexactly(1)
    return reader, writer


def test_what_was_answered_is_sent_before_the_door_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_CLOSE_S", 60)

    async def run() -> int:
        opened = door()
        await opened.open()
        place = (opened.address.host, opened.address.port)
        _, earlier = await meet(*place)
        earlier.transport.abort()
        while opened._connections:
            await asyncio.sleep(0)
        reader, later = await meet(*place)
        closing = asyncio.create_task(opened.close())
        count = 1 + len(await reader.read(-1))
        await closing
        later.close()
        return count

    assert asyncio.run(run()) == len(ANSWER)
