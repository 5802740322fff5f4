"""The server of the ``http`` source without a hub: every check is made, then the events are dropped and answered.

python -m benchmarks.http_drop_server PORT
"""

from __future__ import annotations

import sys
from pathlib import Path

from ingest.environment import Environment
from ingest.sources.http.door import Prepared
from ingest.sources.http.request import Request
from ingest.sources.http.server import Server
from ingest.sources.http.serving import new_loop
from ingest.sources.http.settings import HttpSettings

ANSWER = b'{"topic": "events", "partition": 0, "offset": 1234567, "count": 1}'


class DropServer(Server):
    """Answers where the real one sends the events to its task."""

    def _prepared(self, request: Request, digest: bytes | None, prepared: Prepared) -> None:
        request.sender.answer(request, 202, ANSWER)


if __name__ == "__main__":
    loop = new_loop()
    server = DropServer(HttpSettings(listen=f"127.0.0.1:{sys.argv[1]}"), Environment(), Path(), loop)
    loop.run_until_complete(server.listen())
    loop.run_forever()
