"""A topic's settings: Kafka's names, values and defaults."""

from __future__ import annotations

import pytest

from ingest.errors import TopicInvalid
from ingest.log.topic_config import TopicConfig, setting_names

# From Apache Kafka's own documentation of topic settings.
DEFAULTS = {
    "cleanup.policy": "delete", "compression.gzip.level": "-1", "compression.lz4.level": "9",
    "compression.type": "producer", "compression.zstd.level": "3",
    "delete.retention.ms": "86400000",
    "file.delete.delay.ms": "60000",
    "flush.messages": "9223372036854775807", "flush.ms": "9223372036854775807", "index.interval.bytes": "4096",
    "max.compaction.lag.ms": "9223372036854775807", "max.message.bytes": "1048588",
    "message.timestamp.after.max.ms": "3600000", "message.timestamp.before.max.ms": "9223372036854775807",
    "message.timestamp.type": "CreateTime", "min.cleanable.dirty.ratio": "0.5", "min.compaction.lag.ms": "0",
    "min.insync.replicas": "1", "preallocate": "false", "retention.bytes": "-1", "retention.ms": "604800000",
    "segment.bytes": "1073741824", "segment.index.bytes": "10485760", "segment.jitter.ms": "0",
    "segment.ms": "604800000", "unclean.leader.election.enable": "false",
}  # fmt: skip


def test_nothing_set_gives_kafkas_defaults() -> None:
    assert TopicConfig.parse({}) == TopicConfig.parse(DEFAULTS)


def test_every_setting_is_kafkas_or_says_that_it_is_ours() -> None:
    assert {name for name in setting_names() if not name.startswith("ingest.")} == set(DEFAULTS)


def test_every_setting_is_described() -> None:
    assert all(field.description for field in TopicConfig.model_fields.values())


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("retention.ms", "-1", -1),
        ("retention.ms", "7d", 604_800_000),
        ("retention.ms", 5, 5),
        ("retention.bytes", "1GiB", 1 << 30),
        ("segment.bytes", "1000000", 1_000_000),
        ("cleanup.policy", "compact", frozenset({"compact"})),
        ("cleanup.policy", "compact, delete", frozenset({"compact", "delete"})),
        ("min.cleanable.dirty.ratio", "0.25", 0.25),
        ("preallocate", "true", True),
        ("ingest.retention.by", "record", "record"),
    ],
)
def test_values_are_read_as_kafka_writes_them_and_as_people_do(name: str, value: object, wanted: object) -> None:
    assert getattr(TopicConfig.parse({name: value}), name.replace(".", "_")) == wanted


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retention.ms", "-2"),
        ("retention.ms", "soon"),
        ("retention.ms", str(2**63)),
        ("retention.ms", True),
        ("segment.bytes", "0"),
        ("segment.bytes", "4GiB"),
        ("cleanup.policy", ""),
        ("cleanup.policy", "remove"),
        ("compression.type", "brotli"),
        ("min.cleanable.dirty.ratio", "1.5"),
        ("message.timestamp.type", "now"),
        ("max.message.bytes", None),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(TopicInvalid, match=name) as caught:
        TopicConfig.parse({name: value}, "access")
    assert caught.value.facts["setting"] == name
    assert caught.value.facts["topic"] == "access"


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(TopicInvalid, match=r"retention\.ms") as caught:
        TopicConfig.parse({"retention.msec": "5"})
    assert caught.value.hint == "did you mean retention.ms?"
    with pytest.raises(TopicInvalid, match="known settings"):
        TopicConfig.parse({"zzz": "5"})


def test_a_settings_python_name_is_not_a_setting() -> None:
    with pytest.raises(TopicInvalid):
        TopicConfig.parse({"retention_ms": "5"})
