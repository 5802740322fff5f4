"""The ``http`` source."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

from ingest.connectors import SourceConnector, SourceTask
from ingest.errors import ConnectorError, MissingDependency
from ingest.sources.http.authentication import authenticator_for
from ingest.sources.http.listening import Listening
from ingest.sources.http.settings import HttpSettings

__all__ = ["HttpSettings", "HttpSource"]


class HttpSource(SourceConnector):
    """Events that others post: JSON, NDJSON, CSV, CloudEvents, text or bytes, one or many in a request.

    The answer, 202 with topic, partition and offset, comes after the hub has the events on disk; a batch is stored
    whole or refused whole. Requests with an `Idempotency-Key` are stored once, however often they are repeated.
    Webhooks of GitHub, Stripe and all that follow Standard Webhooks are checked by their signatures.
    """

    Settings = HttpSettings

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._listening = Listening(settings)
        self.needs_topic = any(route.topic is None for route in settings.all_routes)
        for route in settings.all_routes:
            assert route.auth is not None
            authenticator_for(route.auth)

    def check(self, base_folder: Path) -> None:
        """The port must be free."""
        host, port = self._settings.address
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise ConnectorError(
                    f"{self._settings.listen} cannot be listened on: {error.strerror}",
                    hint="another program may have the port; `listen` names another",
                ) from None

    def tasks(self, most: int) -> Sequence[SourceTask]:
        try:
            from ingest.sources.http.task import HttpTask
        except ImportError as error:
            raise MissingDependency(
                f"the http source cannot be loaded: {error}", hint="pip install 'ingest[http]'"
            ) from error
        return [HttpTask(self._settings, self._listening)]

    @property
    def port(self) -> int:
        """Where it listens now; 0 while it does not."""
        return self._listening.port
