"""The ``http`` sink."""

from __future__ import annotations

from pathlib import Path

from ingest.connectors import SinkConnector, SinkTask
from ingest.sinks.http.settings import HttpSinkSettings

__all__ = ["HttpSink", "HttpSinkSettings"]


class HttpSink(SinkConnector):
    """Posts rows as JSON, in batches of one partition each, in order, with retries.

    At least once: a receiver cannot say where it stands. Each request carries an `Idempotency-Key` that is made of the
    offsets of its rows, and `Ingest-Topic`, `Ingest-Partition` and `Ingest-Offsets`: a receiver that drops what it
    knows already gets every row once.
    """

    Settings = HttpSinkSettings
    reads_headers = False

    def __init__(self, settings: HttpSinkSettings) -> None:
        self._settings = settings

    def check(self, base_folder: Path) -> None:
        from ingest.clock import SystemClock
        from ingest.http_client.client import HttpClient, Request

        settings = self._settings
        ca = base_folder / settings.ca if settings.ca else None
        client = HttpClient(settings.url, SystemClock(), timeout_ms=settings.timeout, most_bytes=1 << 20, ca=ca)
        try:
            client.begin(Request("OPTIONS", settings.url.replace("{topic}", ""), {})).result()
        finally:
            client.close()

    def task(self) -> SinkTask:
        from ingest.sinks.http.task import HttpSinkTask

        return HttpSinkTask(self._settings)
