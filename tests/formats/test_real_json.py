"""JSON that other programs wrote: webhook bodies and log files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from needs import SHARED_DATA, needs

from ingest.connectors import Records
from ingest.formats import format_named, json_codec
from ingest.formats.schema import infer_schema

WEBHOOKS = SHARED_DATA / "github-webhooks"
LOGS = SHARED_DATA / "lnav-edge-logs"


def without_nulls(value: Any) -> Any:
    """A missing name and null are one in columns; empty objects that had only nulls stay."""
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def assert_read_exactly(values: list[bytes]) -> None:
    """Every object that is not refused comes out as it went in, and what is refused clashes with the others."""
    decoded = format_named("json").decode(Records(value=pa.array(values, pa.binary())))
    refused: dict[int, str] = {}
    for each in decoded.rejected:
        refused.update(zip(each.rows.to_pylist(), each.reasons, strict=True))
    good = [json.loads(value) for row, value in enumerate(values) if row not in refused]
    for written, found in zip(good, decoded.records.value.to_pylist(), strict=True):
        assert without_nulls(found) == without_nulls(written)
    for reason in refused.values():
        assert "not JSON" in reason or "have no common type" in reason or " is expected" in reason


@pytest.mark.parametrize("event", ["push", "issues", "check_run", "release", "workflow_run", "star", "status"])
def test_the_bodies_of_one_webhook_event_become_columns(event: str) -> None:
    needs(WEBHOOKS.is_dir(), f"{WEBHOOKS}")
    bodies = [path.read_bytes() for path in sorted((WEBHOOKS / event).glob("*.json"))]
    assert bodies
    assert_read_exactly(bodies)
    schema = infer_schema(pa.array(bodies, pa.binary()))
    column, reasons = json_codec.decode(pa.array(bodies, pa.binary()), pa.struct(list(schema)))
    texts, _ = json_codec.encode(column)
    assert json_codec.decode(texts, column.type)[0].equals(column)
    assert not reasons


def test_events_of_all_kinds_share_one_topic_as_far_as_they_agree() -> None:
    needs(WEBHOOKS.is_dir(), f"{WEBHOOKS}")
    bodies = [path.read_bytes() for path in sorted(WEBHOOKS.glob("*/*.json"))]
    decoded = format_named("json").decode(Records(value=pa.array(bodies, pa.binary())))
    assert len(decoded.records) + sum(len(each.rows) for each in decoded.rejected) == len(bodies)
    assert len(decoded.records) > len(bodies) // 2


JSON_LOGS = ["logfile_json.json", "logfile_nested_json.json", "logfile_ecs_log.json", "logfile_bunyan.0"]


@pytest.mark.parametrize("name", JSON_LOGS)
def test_json_log_files_become_columns(name: str) -> None:
    needs(LOGS.is_dir(), f"{LOGS}")
    assert_read_exactly(lines_of(LOGS / name))


def test_lines_that_are_not_json_take_no_neighbour_with_them() -> None:
    needs(LOGS.is_dir(), f"{LOGS}")
    values = lines_of(LOGS / "logfile_invalid_json.json") + lines_of(LOGS / "logfile_invalid_utf8.0")
    decoded = format_named("json").decode(Records(value=pa.array(values, pa.binary())))
    refused = {row for each in decoded.rejected for row in each.rows.to_pylist()}
    parsed = [is_object(value) for value in values]
    assert refused >= {row for row, good in enumerate(parsed) if not good}
    assert len(decoded.records) == len(values) - len(refused)
    assert refused


def lines_of(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().split(b"\n") if line.strip()]


def is_object(value: bytes) -> bool:
    try:
        return isinstance(json.loads(value.decode("utf-8")), dict)
    except ValueError:
        return False
