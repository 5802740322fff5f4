"""What a source listens with: one for connections, one for datagrams."""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod

from ingest.sources.listening.address import Address


class Door(ABC):
    """Lives in the thread of the sockets, from ``open`` to ``close``."""

    def __init__(self, listening: socket.socket) -> None:
        self.listening = listening
        host, port = listening.getsockname()[:2]
        self.address = Address(host, port)

    @abstractmethod
    async def open(self) -> None:
        """Begins to take in."""

    @abstractmethod
    def pause(self) -> None:
        """Reads nothing until ``resume``."""

    @abstractmethod
    def resume(self) -> None:
        """Reads again."""

    @abstractmethod
    def tick(self) -> None:
        """Called once a second."""

    @abstractmethod
    def farewell(self) -> None:
        """Lets nobody in any more, and tells those who are in to end; what they have sent is still read."""

    @abstractmethod
    async def close(self) -> None:
        """Everything is closed; takes at most about a second."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        return asyncio.get_running_loop()
