"""The server of the ``http`` source without a hub: every check is made, then the events are dropped and answered.

python -m benchmarks.http_drop_server PORT
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from ingest.environment import Environment
from ingest.sources.http.door import Prepared
from ingest.sources.http.inbox import Inbox
from ingest.sources.http.request import Request
from ingest.sources.http.server import Server
from ingest.sources.http.settings import HttpSettings

ANSWER = b'{"topic": "events", "partition": 0, "offset": 1234567, "count": 1}'


class DropServer(Server):
    """Answers where the real one puts into its inbox."""

    def _prepared(self, request: Request, digest: bytes | None, prepared: Prepared) -> None:
        request.sender.answer(request, 202, ANSWER)


if __name__ == "__main__":
    environment = Environment()
    settings = HttpSettings(listen=f"127.0.0.1:{sys.argv[1]}")
    server = DropServer(settings, environment, Path())
    server.start(Inbox(environment.clock, settings.limits.waiting), [])
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    server.stop()
