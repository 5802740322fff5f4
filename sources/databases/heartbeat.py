"""A record now and then, whether there are changes or not."""

from __future__ import annotations

import json

import pyarrow as pa

from ingest.connectors import Origin, Records, SourceContext
from ingest.sources.databases.capture_settings import CaptureSettings


class Heartbeat:
    """Key and value are Debezium's: the source's name, and the time. ``stream`` is that of its records."""

    def __init__(self, settings: CaptureSettings, context: SourceContext, stream: str) -> None:
        self._every_ms = settings.heartbeat
        self._topic = settings.heartbeat_topic or f"heartbeat.{context.name}"
        self._name = context.name
        self._stream = stream
        self._clock = context.environment.clock
        self._last_ms: int | None = None

    def due(self) -> list[Records]:
        """One record if it is time for it."""
        now_ms = self._clock.monotonic_ms()
        if self._every_ms is None or (self._last_ms is not None and now_ms - self._last_ms < self._every_ms):
            return []
        self._last_ms = now_ms
        key = json.dumps({"serverName": self._name}, separators=(",", ":")).encode()
        return [
            Records(
                value=pa.array([{"ts_ms": self._clock.now_ms()}], pa.struct([("ts_ms", pa.int64())])),
                key=pa.array([key], pa.binary()),
                topic=self._topic,
                stream=self._stream,
                origin=Origin(self._name, "heartbeat"),
            )
        ]
