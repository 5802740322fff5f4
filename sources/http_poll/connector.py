"""The ``http_poll`` source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ingest.connectors import SourceConnector, SourceTask
from ingest.errors import ConnectorError
from ingest.sources.http_poll.settings import HttpPollSettings

__all__ = ["HttpPollSettings", "HttpPollSource"]


class HttpPollSource(SourceConnector):
    """The records of a JSON API, page by page, asked again and again; each record is its JSON text as it was sent.

    Where a round stands commits with the records: a crash neither loses nor repeats any, as far as the API brings
    the same records for the same page, offset or cursor. A list that grows at its end is read on where it ended; with
    `since` only what is newer is asked for; a resource without pages is delivered whole each time that it changes.
    """

    Settings = HttpPollSettings
    needs_topic = True

    def __init__(self, settings: HttpPollSettings) -> None:
        self._settings = settings

    def check(self, base_folder: Path) -> None:
        from ingest.clock import SystemClock
        from ingest.http_client.client import HttpClient, Request, place_of
        from ingest.sources.http_poll.place import url_of

        settings = self._settings
        ca = base_folder / settings.ca if settings.ca else None
        limits = {"timeout_ms": settings.timeout, "most_bytes": settings.max_body}
        client = HttpClient(settings.url, SystemClock(), ca=ca, **limits)
        url = settings.auth.url(url_of(settings, {}, settings.since.start if settings.since else None))
        method = "HEAD" if settings.method == "GET" else "OPTIONS"
        try:
            answer = client.begin(Request(method, url, {**settings.headers, **settings.auth.headers()})).result()
        finally:
            client.close()
        if answer.status in (401, 403):
            raise ConnectorError(f"{place_of(settings.url)} answers {answer.status}", hint="see `auth`")

    def tasks(self, most: int) -> Sequence[SourceTask]:
        from ingest.sources.http_poll.task import HttpPollTask

        return [HttpPollTask(self._settings)]
