"""The ``generator`` source: made-up data at a rate, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from ingest.config import Settings
from ingest.connectors import (
    EndOfInput,
    Origin,
    Polled,
    Position,
    Records,
    SourceConnector,
    SourceContext,
    SourceTask,
)
from ingest.errors import ConnectorError

if TYPE_CHECKING:
    import pyarrow as pa

STREAM = "generator"
VERSION = 1

_ROW_BYTES = {"access_log": 230, "json": 160, "rows": 60}
_MOST_ROWS = 1 << 20
_WAIT_MS = 100


class GeneratorSettings(Settings):
    """Settings of the ``generator`` source."""

    kind: Literal["access_log", "json", "rows"] = Field(
        "access_log", description="Lines of a web server's log (combined format), JSON events, or typed rows."
    )
    count: int | None = Field(None, ge=0, description="How many records in all; without it, for ever.")
    rate: float | None = Field(None, gt=0, description="Records a second; without it, as fast as they are taken.")
    seed: int = Field(0, description="The same seed gives the same records.")
    start: datetime | None = Field(
        None, description="The time inside the first record; without it, when the source first started."
    )

    @field_validator("start")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class GeneratorSource(SourceConnector):
    """Made-up data, to try things out and to measure them: the record at an index is always the same, so a
    run that was interrupted continues exactly. Times inside the records follow `rate`, or advance by 1 ms.
    """

    Settings = GeneratorSettings
    needs_topic = True

    def __init__(self, settings: GeneratorSettings) -> None:
        self._settings = settings

    def tasks(self, most: int) -> Sequence[SourceTask]:
        return [GeneratorTask(self._settings)]


class GeneratorTask(SourceTask):
    """Makes the records from ``next`` on, at most as fast as the rate allows."""

    def __init__(self, settings: GeneratorSettings) -> None:
        self._settings = settings

    def open(self, context: SourceContext, positions: Mapping[str, Position]) -> None:
        from ingest.sources.generated_rows import Generated

        settings = self._settings
        if context.until_caught_up and settings.count is None:
            raise ConnectorError("a generator without `count` is never caught up", hint="set `count`")
        self._context = context
        self._clock = context.environment.clock
        position = self._checked(positions.get(STREAM))
        self._next = int(position["next"])
        self._start_ms = int(position["start_ms"])
        self._opened_at = self._next
        self._opened_ms = self._clock.monotonic_ms()
        step_us = round(1_000_000 / settings.rate) if settings.rate else 1_000
        self._generated = Generated(settings.seed, self._start_ms, step_us)

    def poll(self) -> Polled | None:
        settings = self._settings
        if settings.count is not None and self._next >= settings.count:
            if self._context.until_caught_up:
                raise EndOfInput
            self._context.wait(_WAIT_MS)
            return None
        count = self._due()
        if count == 0:
            self._context.wait(self._until_due_ms())
            return None
        value = self._make(self._next, count)
        records = self._records(value)
        self._next += count
        return Polled([records], {STREAM: self._position()})

    def close(self) -> None:
        return

    def _due(self) -> int:
        """How many records may be made now."""
        most = max(1, min(self._context.max_batch_bytes // _ROW_BYTES[self._settings.kind], _MOST_ROWS))
        if self._settings.count is not None:
            most = min(most, self._settings.count - self._next)
        if self._settings.rate is not None:
            elapsed_ms = self._clock.monotonic_ms() - self._opened_ms
            allowed = self._opened_at + int(elapsed_ms * self._settings.rate / 1000)
            most = min(most, max(allowed - self._next, 0))
        return most

    def _until_due_ms(self) -> int:
        assert self._settings.rate is not None
        due_ms = self._opened_ms + (self._next + 1 - self._opened_at) * 1000 / self._settings.rate
        return max(1, min(_WAIT_MS, int(due_ms - self._clock.monotonic_ms()) + 1))

    def _make(self, first: int, count: int) -> pa.Array:
        make = {
            "access_log": self._generated.access_log,
            "json": self._generated.json,
            "rows": self._generated.rows,
        }
        return make[self._settings.kind](first, count)

    def _records(self, value: pa.Array) -> Records:
        import numpy as np
        import pyarrow as pa

        positions = pa.array(np.arange(self._next, self._next + len(value), dtype=np.int64))
        origin = Origin(self._context.name, self._settings.kind)
        return Records(value=value, stream=STREAM, origin=origin, positions=positions)

    def _position(self) -> Position:
        settings = self._settings
        return {
            "version": VERSION,
            "kind": settings.kind,
            "seed": settings.seed,
            "start_ms": self._start_ms,
            "next": self._next,
        }

    def _checked(self, position: Position | None) -> Mapping[str, Any]:
        """Where to go on; the first start decides on the time of the first record."""
        settings = self._settings
        if position is None:
            start = settings.start
            start_ms = self._clock.now_ms() if start is None else int(start.timestamp() * 1000)
            return {"next": 0, "start_ms": start_ms}
        same = position.get("version") == VERSION and isinstance(position.get("next"), int)
        if not same or (position.get("kind"), position.get("seed")) != (settings.kind, settings.seed):
            raise ConnectorError(
                f"the generator's position is of kind {position.get('kind')!r} and seed {position.get('seed')!r}, "
                f"its settings say {settings.kind!r} and {settings.seed}",
                hint="`ingest positions reset` begins anew",
            )
        return position
