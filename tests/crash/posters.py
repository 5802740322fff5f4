"""Clients that post events until each is acknowledged, through every restart of the server."""

from __future__ import annotations

import http.client
import json
import random
import threading
from collections import Counter
from pathlib import Path

PIPELINE = """\
name: posts
hub: ./data
topics:
  events: {{partitions: 2, config: {{segment.bytes: 65536}}}}
sources:
  - name: web
    type: http
    listen: 127.0.0.1:{port}
    topic: events
    max_batch: {max_batch}
sinks:
  - name: lake
    type: parquet
    topics: [events]
    url: ./lake
    roll: {{rows: {roll_rows}, interval: 150ms}}
"""


class Posters:
    """``count`` threads. Each repeats a request, under the same key, until it is answered 202."""

    def __init__(self, folder: Path, port: int, dice: random.Random, count: int = 16) -> None:
        self.folder = folder
        self.pipeline = folder / "pipeline.yaml"
        sizes = {"max_batch": dice.choice(["4KiB", "1MiB"]), "roll_rows": dice.choice([50, 1000])}
        self.pipeline.write_text(PIPELINE.format(port=port, **sizes))
        self.lake = folder / "lake"
        self.acknowledged: Counter[str] = Counter()
        self.repeats = 0
        self.wrong: list[str] = []
        self._port = port
        self._lock = threading.Lock()
        self._stop = threading.Event()
        seeds = [dice.random() for _ in range(count)]
        self._threads = [threading.Thread(target=self._post_on, args=item, daemon=True) for item in enumerate(seeds)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Each thread has its last request acknowledged first: the server must run."""
        self._stop.set()
        for thread in self._threads:
            thread.join(240)
            assert not thread.is_alive(), "a request was never acknowledged"

    def _post_on(self, number: int, seed: float) -> None:
        dice = random.Random(seed)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        sent = 0
        while not self._stop.is_set():
            ids = [f"{number}-{sent + n}" for n in range(1 if dice.random() < 0.7 else dice.randrange(2, 60))]
            sent += len(ids)
            body = "\n".join(json.dumps({"id": one, "word": dice.choice(["alpha", "beta"])}) for one in ids)
            self._until_acknowledged(connection, body, f"key-{ids[0]}", ids, dice)
        connection.close()

    def _until_acknowledged(
        self, connection: http.client.HTTPConnection, body: str, key: str, ids: list[str], dice: random.Random
    ) -> None:
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": key}
        again = dice.random() < 0.1  # the answer is taken for lost
        while True:
            try:
                connection.request("POST", "/", body, headers)
                response = connection.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                _pause(dice)
                continue
            with self._lock:
                if response.status == 202 and json.loads(answer)["count"] != len(ids):
                    self.wrong.append(f"{answer!r} for {len(ids)} events")
                elif response.status not in (202, 503):
                    self.wrong.append(f"{response.status} {answer!r}")
                self.repeats += response.getheader("Idempotent-Replayed") is not None
            if response.status == 202 and not again:
                break
            again = again and response.status != 202
            if response.status != 202:
                _pause(dice)
        with self._lock:
            self.acknowledged.update(ids)


def _pause(dice: random.Random) -> None:
    threading.Event().wait(dice.uniform(0.005, 0.05))
