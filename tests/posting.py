"""A running pipeline with an ``http`` source, and a client that posts to it over a socket."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.environment import Environment
from ingest.hub.embedded import EmbeddedHub
from ingest.runtime.plan import ErrorPolicy, Plan, Retry, SourcePlan, TopicPlan
from ingest.runtime.worker import Outcome, Worker
from ingest.sources.http.connector import HttpSource

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def place(self) -> tuple[str, int, int, int]:
        found = self.json
        return found["topic"], found["partition"], found["offset"], found["count"]


class Posting:
    """One pipeline ``p`` with the source ``web`` and the topic ``events``; ``stop`` ends it, ``start`` begins again."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        *,
        environment: Environment | None = None,
        transforms: tuple[Any, ...] = (),
        topics: Mapping[str, TopicPlan] | None = None,
        errors: ErrorPolicy | None = None,
        key: str | None = None,
        timestamp: str | None = None,
        max_batch_bytes: int = 4 * 1024 * 1024,
    ) -> None:
        self.folder = folder
        self.environment = environment or Environment()
        self.source = HttpSource(HttpSource.Settings(listen="127.0.0.1:0", **settings))
        self.hub = EmbeddedHub.open(folder / "data", self.environment)
        self.said: list[str] = []
        self.plan = Plan(
            pipeline="p",
            base_folder=folder,
            topics=topics or {},
            sources=[
                SourcePlan(
                    "web",
                    self.source,
                    "events",
                    key,
                    transforms,
                    max_batch_bytes=max_batch_bytes,
                    timestamp=timestamp,
                    retry=Retry(backoff_ms=20, max_backoff_ms=20),
                )
            ],
            errors=errors or ErrorPolicy(),
        )
        self.start()

    def start(self) -> None:
        """Runs until ``stop``; returns when the port is open."""
        listening = threading.Event()

        def report(sentence: str) -> None:
            self.said.append(sentence)
            if "listens on" in sentence:
                listening.set()

        self.outcome: Outcome | None = None
        self.worker = Worker(self.hub, self.plan, self.environment, report=report)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert listening.wait(20), self.said
        self.port = self.source.port

    def _run(self) -> None:
        self.outcome = self.worker.run()

    def stop(self) -> Outcome:
        """A clean stop."""
        self.worker.stop()
        self.thread.join(20)
        assert self.outcome is not None, "it did not stop"
        return self.outcome

    def close(self) -> None:
        if self.thread.is_alive():
            self.stop()
        self.hub.close()

    def post(
        self, body: bytes | str, headers: Mapping[str, str] = JSON, path: str = "/", method: str = "POST"
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body.encode() if isinstance(body, str) else body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def socket(self) -> socket.socket:
        """A raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def values(self, topic: str = "events") -> list[bytes]:
        """What the hub holds, in order of the offsets (of one partition after the other)."""
        return [value for records in self.records(topic) for value in records.value.to_pylist()]

    def records(self, topic: str = "events") -> list[Any]:
        found = []
        if topic not in {info.name for info in self.hub.topics()}:
            return []
        for partition in range(self.hub.topic(topic).partitions):
            offset, end = self.hub.start_offset(topic, partition), self.hub.end_offset(topic, partition)
            while offset < end:
                fetched = self.hub.read(topic, partition, offset, max_bytes=1 << 24)
                if fetched.records is not None:
                    found.append(fetched.records)
                offset = fetched.end
        return found

    def headers(self, topic: str = "events") -> list[dict[str, bytes]]:
        """The headers of each record."""
        return [
            {pair["key"]: pair["value"] for pair in pairs or []}
            for records in self.records(topic)
            for pairs in (records.headers.to_pylist() if records.headers is not None else [None] * len(records))
        ]


def read_answer(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)
