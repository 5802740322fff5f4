"""The server of a source, which stays from one attempt of its task to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ingest.connectors import SourceContext
from ingest.sources.http.settings import HttpSettings

if TYPE_CHECKING:
    from ingest.sources.http.inbox import Inbox
    from ingest.sources.http.key_store import Kept
    from ingest.sources.http.server import Server


class Listening:
    """Used by one task at a time."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._server: Server | None = None

    @property
    def port(self) -> int:
        """Where it listens; 0 if it does not."""
        return self._server.port if self._server is not None and self._server.is_running else 0

    def open(self, context: SourceContext, inbox: Inbox, kept: Sequence[Kept]) -> Server:
        """The server that runs, or a new one; from now on its requests go into ``inbox``."""
        from ingest.sources.http.server import Server

        server = self._server
        if server is not None and server.is_running:
            server.attach(inbox, kept)
        else:
            server = Server(self._settings, context.environment, context.base_folder)
            server.start(inbox, kept)
        self._server = server
        scheme = "http" if self._settings.tls is None else "https"
        context.report(f"listens on {scheme}://{self._settings.listen.rpartition(':')[0]}:{server.port}")
        return server

    def end(self) -> None:
        """Closes everything."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()
