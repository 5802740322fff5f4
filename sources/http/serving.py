"""The process in which a server runs: its event loop, and the talk with the task that has started it.

the task says                            the server says
start  settings, folder, keys, size      listening  port, or failed  error
attach  keys, size                       attached
                                         requests  bundles, with their data
answers  one for each request, in order
refuse_new                               refuses, after the last requests
detach · stop
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ingest.environment import Environment
from ingest.errors import IngestError
from ingest.sources.http.bundle import Bundle
from ingest.sources.http.channel import Messages, packed
from ingest.sources.http.server import Server
from ingest.sources.http.settings import HttpSettings


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    found: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return found


class TaskLink(asyncio.Protocol):
    """The server's end of the talk; when the other one is gone, whyever, there is nothing left to serve for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._messages = Messages()
        self._transport: Any = None
        self._server: Server
        self.ended = loop.create_future()
        """Done when there is nothing left to serve for; a task that died before this process listened ends it, too."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for kind, *rest in self._messages.feed(data):
            getattr(self, f"_on_{kind}")(*rest)

    def connection_lost(self, error: Exception | None) -> None:
        self._end()

    def _on_start(self, settings: HttpSettings, base_folder: Path, kept: bytes, step_bytes: int) -> None:
        self._loop.create_task(self._start(settings, base_folder, kept, step_bytes))

    async def _start(self, settings: HttpSettings, base_folder: Path, kept: bytes, step_bytes: int) -> None:
        try:
            self._server = Server(settings, Environment(), base_folder, self._loop)
            port = await self._server.listen()
        except IngestError as error:
            self._say("failed", error)
            self._transport.close()
            return
        self._server.attach(self._send_requests, kept, step_bytes)
        gc.freeze()
        self._say("listening", port)

    def _on_attach(self, kept: bytes, step_bytes: int) -> None:
        self._server.attach(self._send_requests, kept, step_bytes)
        self._say("attached", None)

    def _on_detach(self) -> None:
        self._server.detach()

    def _on_answers(self, answers: Sequence[bytes]) -> None:
        self._server.deliver(answers)

    def _on_refuse_new(self) -> None:
        self._server.refuse_new()
        self._say("refuses", None)

    def _on_stop(self) -> None:
        self._loop.create_task(self._server.stop()).add_done_callback(lambda _: self._end())

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _send_requests(self, bundles: Sequence[Bundle], data: Sequence[bytes | memoryview]) -> None:
        if self._transport.is_closing():
            return
        head = packed(("requests", bundles), sum(bundle.data_bytes for bundle in bundles))
        self._transport.writelines([head, *data])

    def _say(self, kind: str, value: Any) -> None:
        if not self._transport.is_closing():
            self._transport.write(packed((kind, value)))


def main() -> None:
    """Serves whoever is at the other end of stdin, which is a socket."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the task decides when it ends
        signal.signal(number, signal.SIG_IGN)
    loop = new_loop()
    connection = socket.socket(fileno=0)
    link = TaskLink(loop)
    loop.run_until_complete(loop.create_unix_connection(lambda: link, sock=connection))
    loop.run_until_complete(link.ended)
    os._exit(0)  # whatever is looked at still, nobody waits for it
