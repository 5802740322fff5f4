"""The server of a source, which stays from one attempt of its task to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.connectors import SourceContext
from ingest.sources.http.settings import HttpSettings

if TYPE_CHECKING:
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

    def server(self, context: SourceContext) -> Server:
        """The one that runs, or a new one."""
        from ingest.sources.http.server import Server

        if self._server is None or not self._server.is_running:
            server = Server(self._settings, context.environment, context.base_folder)
            server.start()
            self._server = server
            host, _ = self._settings.address
            scheme = "http" if self._settings.tls is None else "https"
            context.report(f"listens on {scheme}://{host}:{server.port}")
        return self._server

    def end(self) -> None:
        """Closes everything."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()
