"""The process of a server, as the source's task sees it: requests come from it, answers go to it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ingest.errors import SystemUnavailable
from ingest.sources.http.bundle import Bundle
from ingest.sources.http.channel import Channel
from ingest.sources.http.settings import HttpSettings
from ingest.sources.http.step import Sent

_START_MS = 60_000
_REPLY_MS = 10_000
_STOP_S = 10.0
_PROGRAM = "from ingest.sources.http.serving import main; main()"


class ServerProcess:
    """It ends by itself when this process is gone, however that came. Used by one thread at a time."""

    def __init__(self, settings: HttpSettings, base_folder: Path, kept: bytes, step_bytes: int) -> None:
        """Listens, and sends requests; see ``attach``.

        Raises ``SystemUnavailable`` while the port is taken, ``ConfigError`` for settings at fault.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = _started(theirs)
        self._channel = Channel(ours)
        weakref.finalize(self, _let_go, self._channel, self._process)
        self._held: tuple[Sequence[Bundle], bytearray] | None = None
        self._is_empty = False
        self.port = 0
        try:
            self._send("start", settings, base_folder, kept, step_bytes)
            self.port = self._reply("listening", _START_MS)
        except BaseException:
            _let_go(self._channel, self._process)
            raise

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def attach(self, kept: bytes, step_bytes: int) -> None:
        """From now on requests are sent; ``kept`` are those with keys that the hub has stored."""
        self._send("attach", kept, step_bytes)
        self._held = None  # what was sent to the task before has been refused since
        self._reply("attached", _REPLY_MS)

    def detach(self) -> None:
        """Nobody takes requests for now: those that wait are told so."""
        if self.is_running:
            self._send("detach")

    def take(self, timeout_ms: int, most_bytes: int) -> list[Sent]:
        """Requests in order, once there are some: those that came first, more up to ``most_bytes``.

        Raises ``SystemUnavailable`` if the process has ended.
        """
        taken: list[Sent] = []
        size = 0
        while (sent := self._held or self._next(0 if taken else timeout_ms)) is not None:
            bundles, data = sent
            size += len(data)
            if taken and size > most_bytes:
                self._held = sent
                break
            self._held = None
            taken += _apart(bundles, data)
        return taken

    def has_more(self) -> bool:
        """Whether ``take`` would not wait."""
        return self._held is not None or self._channel.has_more()

    def answer(self, bodies: list[bytes]) -> None:
        """The hub has the first requests that have no answer yet on disk."""
        self._send("answers", bodies)

    def refuse_new(self) -> None:
        """The listener is closed, and each connection once it has its answer."""
        self._send("refuse_new")

    def take_last(self, most_bytes: int) -> list[Sent]:
        """After ``refuse_new``: what had come in whole; empty when there is nothing more."""
        taken = self.take(0 if self._is_empty else _REPLY_MS, most_bytes)
        if not taken and not self._is_empty:
            raise SystemUnavailable("the process that serves HTTP does not answer")
        return taken

    def stop(self) -> None:
        """Ends all connections and the process. Idempotent."""
        with suppress(SystemUnavailable):
            self._send("stop")
        _wait(self._process)
        self._channel.close()

    def _send(self, *message: Any) -> None:
        try:
            self._channel.send(message)
        except OSError:
            raise self._ended() from None

    def _next(self, timeout_ms: int) -> tuple[Sequence[Bundle], bytearray] | None:
        """Requests that were sent together; None if there are none in time, or for good."""
        try:
            received = self._channel.receive(timeout_ms)
        except EOFError:
            raise self._ended() from None
        if received is None:
            return None
        (kind, *rest), data = received
        if kind == "requests":
            return rest[0], data
        self._is_empty = kind == "refuses"
        return None

    def _reply(self, wanted: str, timeout_ms: int) -> Any:
        """The value of the next message of this kind; what comes before it is for nobody."""
        while True:
            try:
                received = self._channel.receive(timeout_ms)
            except EOFError:
                raise self._ended() from None
            if received is None:
                raise SystemUnavailable("the process that serves HTTP does not answer")
            kind, value = received[0]
            if kind == "failed":
                raise value
            if kind == wanted:
                return value

    def _ended(self) -> SystemUnavailable:
        _let_go(self._channel, self._process)
        return SystemUnavailable(f"the process that serves HTTP has ended, with exit code {self._process.returncode}")


def _started(theirs: socket.socket) -> subprocess.Popen[bytes]:
    """Its stdin is the pair's other end. All that it must know comes from there, for anybody can read the arguments
    of a command and, who is the same user, its environment."""
    return subprocess.Popen(  # noqa: S603  nothing of the user's is in it
        [sys.executable, "-P", "-c", _PROGRAM],
        stdin=theirs.fileno(),
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        process_group=0 if os.name == "posix" else -1,  # Ctrl-C is for us
    )


def _let_go(channel: Channel, process: subprocess.Popen[bytes]) -> None:
    """Without a channel it ends at once."""
    channel.close()
    _wait(process)


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _apart(bundles: Sequence[Bundle], data: bytearray) -> Iterator[Sent]:
    """Each bundle with its part of the data."""
    view, start = memoryview(data), 0
    for bundle in bundles:
        yield bundle, view[start : start + bundle.data_bytes]
        start += bundle.data_bytes
