"""One request, from its first header to its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ingest.sources.http.routes import Match


class Sender(Protocol):
    """Whoever waits for the answer."""

    def answer(self, request: Request, status: int, body: bytes, headers: bytes = b"") -> None:
        """Once, in the thread of the server."""
        ...


@dataclass(slots=True, eq=False)
class Request:
    """What came; header names are in lower case, values that came twice are joined by a comma."""

    sender: Sender
    method: bytes
    url: bytes
    headers: dict[bytes, bytes]
    keep_alive: bool = True
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0
    match: Match | None = None
    peer: str = ""

    def header(self, name: bytes) -> str:
        """As text; "" if there is none."""
        return self.headers.get(name, b"").decode("latin-1")


@dataclass(frozen=True, slots=True)
class Events:
    """What a body holds. ``data`` are the ``count`` events, one behind the other, and ``sizes`` the bytes of each, 64
    bits (None: it is one event); or they are an Arrow IPC stream of columns (``is_table``). ``size`` is that of the
    body, ``format`` that of a new topic.
    """

    data: bytes | memoryview
    count: int
    size: int
    format: str
    headers: tuple[tuple[str, bytes], ...] = ()
    sizes: bytes | None = None
    is_table: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Accepted:
    """A request that only the hub can still refuse. ``digest`` of its idempotency key, or None."""

    request: Request
    topic: str
    events: Events
    digest: bytes | None = None
    fingerprint: bytes = b""
