"""The server of a source, which stays from one attempt of its task to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.connectors import SourceContext
from ingest.sources.http.settings import HttpSettings

if TYPE_CHECKING:
    from ingest.sources.http.server_process import ServerProcess


class Listening:
    """Used by one task at a time."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._server: ServerProcess | None = None

    @property
    def port(self) -> int:
        """Where it listens; 0 if it does not."""
        return self._server.port if self._server is not None and self._server.is_running else 0

    def open(self, context: SourceContext, kept: bytes) -> ServerProcess:
        """The server that runs, or a new one; from now on it sends its requests. ``kept``: see ``KeyStore``."""
        if self._server is not None and self._server.is_running:
            self._server.attach(kept, context.max_batch_bytes)
        else:
            self.end()
            self._server = self._started(context, kept)
        scheme = "http" if self._settings.tls is None else "https"
        context.report(f"listens on {scheme}://{self._settings.listen.rpartition(':')[0]}:{self._server.port}")
        return self._server

    def end(self) -> None:
        """Closes everything."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def _started(self, context: SourceContext, kept: bytes) -> ServerProcess:
        from ingest.sources.http.server_process import ServerProcess

        return ServerProcess(self._settings, context.base_folder, kept, context.max_batch_bytes)
