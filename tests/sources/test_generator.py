"""Made-up data: realistic, at a rate, and the same for the same seed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tailing import ManualClock

from ingest.connectors import EndOfInput, Position, SourceContext, SourceTask
from ingest.environment import Environment
from ingest.errors import ConnectorError
from ingest.sources.generator import GeneratorSettings, GeneratorSource

COMBINED = re.compile(
    r'^(\d+\.\d+\.\d+\.\d+) - (\S+) \[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000)\] "(\w+) (\S+) HTTP/1\.1" '
    r'(\d{3}) (\d+|-) "([^"]+)" "([^"]+)"$'
)
START = "2026-01-31T23:59:58Z"


def opened(
    clock: ManualClock | None = None,
    positions: dict[str, Position] | None = None,
    *,
    until: bool = True,
    batch_bytes: int = 20_000,
    **settings: Any,
) -> SourceTask:
    task = GeneratorSource(GeneratorSettings(**settings)).tasks(4)[0]
    environment = Environment(clock=clock or ManualClock())
    context = SourceContext("made", Path(), environment, until_caught_up=until, max_batch_bytes=batch_bytes)
    task.open(context, positions or {})
    return task


def drain(task: SourceTask, positions: dict[str, Position] | None = None, most: int = 1 << 30) -> list[Any]:
    """At most ``most`` polls; ``positions`` is what was committed."""
    found: list[Any] = []
    for _ in range(most):
        try:
            polled = task.poll()
        except EndOfInput:
            break
        if polled is not None:
            found += [value for records in polled.records for value in records.value.to_pylist()]
            if positions is not None:
                positions.update(json.loads(json.dumps(polled.positions)))
    task.close()
    return found


def test_access_log_lines_are_combined_format() -> None:
    lines = drain(opened(count=5_000, start=START))
    assert len(lines) == len(set(lines)) == 5_000
    fields = [COMBINED.match(line) for line in lines]
    assert all(fields)
    statuses = [match[6] for match in fields if match]
    assert statuses.count("200") > 3_500
    assert {"404", "500"} <= set(statuses)
    assert lines[0].split("[")[1].startswith("31/Jan/2026:23:59:58 +0000")
    assert lines[-1].split("[")[1].startswith("01/Feb/2026:00:00:02 +0000")


def test_json_events_are_json() -> None:
    events = [json.loads(line) for line in drain(opened(kind="json", count=2_000, start=START))]
    assert [event["id"] for event in events] == list(range(2_000))
    assert events[1]["time"] == "2026-01-31T23:59:58.001Z"
    assert isinstance(events[0]["amount"], float)


def test_rows_are_typed() -> None:
    task = opened(kind="rows", count=10)
    polled = task.poll()
    assert polled is not None
    assert polled.records[0].value.type == pa.struct(
        {
            "id": pa.int64(),
            "time": pa.timestamp("ms", tz="UTC"),
            "user": pa.string(),
            "action": pa.string(),
            "amount": pa.float64(),
            "ok": pa.bool_(),
        }
    )


@pytest.mark.parametrize("kind", ["access_log", "json", "rows"])
def test_an_interrupted_run_continues_exactly(kind: str) -> None:
    whole = drain(opened(kind=kind, count=3_000, start=START))
    positions: dict[str, Position] = {}
    found: list[Any] = []
    for batch_bytes in (1_000, 50_000, 7_777, 1, 1 << 20):
        task = opened(positions=dict(positions), kind=kind, count=3_000, start=START, batch_bytes=batch_bytes)
        found += drain(task, positions, most=1 << 30 if batch_bytes == 1 << 20 else 3)
    assert found == whole


def test_the_time_of_the_first_start_stays() -> None:
    clock = ManualClock()
    positions: dict[str, Position] = {}
    first = drain(opened(clock, count=200, batch_bytes=23_000), positions, most=1)
    clock.advance(10_000_000)
    rest = drain(opened(clock, positions, count=200, batch_bytes=23_000))
    assert first + rest == drain(opened(count=200, start=_iso(positions["generator"]["start_ms"])))


def _iso(start_ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(start_ms / 1000, UTC).isoformat()


def test_seeds_differ() -> None:
    assert drain(opened(count=10, seed=1, start=START)) != drain(opened(count=10, seed=2, start=START))


def test_rate_is_kept() -> None:
    clock = ManualClock()
    task = opened(clock, until=False, rate=50.0)
    found = 0
    while clock.monotonic_ms() < 4_000:
        polled = task.poll()
        found += len(polled.records[0]) if polled else 0
        assert found <= clock.monotonic_ms() * 50 / 1000
    assert found >= 4_000 * 50 / 1000 - 6


def test_a_finished_generator_that_follows_waits() -> None:
    clock = ManualClock()
    task = opened(clock, until=False, count=3)
    assert task.poll() is not None
    assert task.poll() is None
    assert clock.monotonic_ms() > 0


def test_nothing_to_make() -> None:
    assert drain(opened(count=0)) == []


def test_an_endless_generator_is_never_caught_up() -> None:
    with pytest.raises(ConnectorError, match="never caught up"):
        opened()


def test_a_position_of_another_seed_is_refused() -> None:
    positions: dict[str, Position] = {}
    drain(opened(count=10, seed=1), positions)
    with pytest.raises(ConnectorError, match="seed 1"):
        opened(positions=positions, count=10, seed=2)
