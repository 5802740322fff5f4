"""``route`` sends records to topics by what they hold."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ingest.connectors import Records
from ingest.connectors.testing import TransformContract
from ingest.errors import ConfigError
from ingest.transforms.route import Route


class TestRoute(TransformContract):
    def transform(self) -> Route:
        return Route(Route.Settings(topic="'app.' || level"))

    def good(self) -> pa.Array:
        return pa.array([{"level": "info"}, {"level": "error"}, {"level": "info"}])

    def bad(self) -> pa.Array:
        return pa.array([{"level": "a b"}])


def route(topic: str, *levels: str | None) -> tuple[dict[str, list[object]], dict[int, str]]:
    result = Route(Route.Settings(topic=topic)).apply(Records(value=pa.array([{"level": each} for each in levels])), {})
    topics = {records.topic: [row["level"] for row in records.value.to_pylist()] for records in result.records}
    reasons = {row.as_py(): why for each in result.rejected for row, why in zip(each.rows, each.reasons, strict=True)}
    return topics, reasons


def test_order_within_a_topic_is_kept_and_topics_come_as_they_appear() -> None:
    topics, _ = route("CASE WHEN level > 'b' THEN 'high' ELSE 'low' END", "c", "a", "d", "b")
    assert topics == {"high": ["c", "d"], "low": ["a", "b"]}
    assert list(topics) == ["high", "low"]


def test_names_that_no_topic_can_have_are_refused() -> None:
    topics, reasons = route("level", "fine", None, "..", "", "x" * 250, "_ingest_positions")
    assert list(topics) == ["fine"]
    assert list(reasons) == [1, 2, 3, 4, 5]
    assert reasons[1] == "the expression names no topic"
    assert "belong to the hub" in reasons[5]


def test_an_expression_that_is_no_text_is_the_pipelines_mistake() -> None:
    with pytest.raises(ConfigError, match="must be a text"):
        route("1", "a")
