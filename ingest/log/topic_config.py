"""A topic's settings: Kafka's names and defaults, declared once.

``TopicConfig.parse({"retention.ms": "604800000"})`` is what the catalogue and the broker call; a value is
text or a number, a duration or size may also be written ``7d`` or ``1GiB``. What was not set has Kafka's
default. Settings that start with ``ingest.`` are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from ingest.config import Settings, nearest, parse_duration_ms, parse_size_bytes
from ingest.errors import TopicInvalid

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def _whole_number(value: object) -> object:
    """``"-1"`` is Kafka's "no limit", which durations and sizes do not know."""
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    if isinstance(value, str) and value.strip().lstrip("-").isdigit():
        return int(value)
    return value


def _policies(value: object) -> object:
    """``"compact,delete"`` as a set."""
    return frozenset(filter(None, (word.strip() for word in value.split(",")))) if isinstance(value, str) else value


Milliseconds = Annotated[int, BeforeValidator(parse_duration_ms), BeforeValidator(_whole_number), Field(le=INT64_MAX)]
Bytes = Annotated[int, BeforeValidator(parse_size_bytes), BeforeValidator(_whole_number), Field(le=INT64_MAX)]
CleanupPolicy = Literal["delete", "compact"]


class TopicConfig(Settings):
    """One topic's settings; the field ``retention_ms`` is the setting ``retention.ms``. Immutable."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "."), populate_by_name=True)

    cleanup_policy: Annotated[frozenset[CleanupPolicy], BeforeValidator(_policies), Field(min_length=1)] = Field(
        frozenset({"delete"}), description="What happens to old segments: delete, compact, or both."
    )
    retention_ms: Milliseconds = Field(7 * DAY_MS, ge=-1, description="Age at which a segment goes; -1 keeps it.")
    retention_bytes: Bytes = Field(-1, ge=-1, description="Size of a partition above which old segments go; -1: none.")
    segment_bytes: Bytes = Field(1 << 30, ge=61, le=INT32_MAX, description="Size at which a segment is closed.")
    segment_ms: Milliseconds = Field(7 * DAY_MS, ge=1, description="Age at which a segment is closed.")
    segment_jitter_ms: Milliseconds = Field(0, ge=0, description="Up to this much is taken off segment.ms, at random.")
    segment_index_bytes: Bytes = Field(10 << 20, ge=12, le=INT32_MAX, description="Largest size of an index file.")
    index_interval_bytes: Bytes = Field(4096, ge=0, le=INT32_MAX, description="Log bytes between two index entries.")
    max_message_bytes: Bytes = Field(1_048_588, ge=0, le=INT32_MAX, description="Largest record batch of a client.")
    delete_retention_ms: Milliseconds = Field(DAY_MS, ge=0, description="How long compaction keeps tombstones.")
    min_compaction_lag_ms: Milliseconds = Field(0, ge=0, description="Compaction leaves younger segments alone.")
    max_compaction_lag_ms: Milliseconds = Field(INT64_MAX, ge=1, description="Older segments are compacted anyway.")
    min_cleanable_dirty_ratio: float = Field(0.5, ge=0, le=1, description="Share of uncompacted bytes that starts it.")
    compression_type: Literal["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"] = Field(
        "producer", description="Codec of batches that the hub itself encodes; a client's batches stay as they are."
    )
    compression_gzip_level: int = Field(-1, ge=-1, le=9, description="Level of gzip; -1 is its default.")
    compression_lz4_level: int = Field(9, ge=1, le=17, description="Level of lz4.")
    compression_zstd_level: int = Field(3, ge=-131072, le=22, description="Level of zstd.")
    message_timestamp_type: Literal["CreateTime", "LogAppendTime"] = Field(
        "CreateTime", description="Whether a record's time is its producer's or that of the append."
    )
    message_timestamp_before_max_ms: Milliseconds = Field(INT64_MAX, ge=0, description="Older records are refused.")
    message_timestamp_after_max_ms: Milliseconds = Field(HOUR_MS, ge=0, description="Records ahead are refused.")
    flush_messages: int = Field(INT64_MAX, ge=1, description="Accepted; the log always syncs before it acknowledges.")
    flush_ms: Milliseconds = Field(INT64_MAX, ge=0, description="Accepted; the log always syncs within 50 ms.")
    file_delete_delay_ms: Milliseconds = Field(60_000, ge=0, description="Accepted; readers keep what they have open.")
    preallocate: bool = Field(False, description="Accepted; segments grow as they are written.")
    min_insync_replicas: int = Field(1, ge=1, description="Accepted; there is one replica.")
    unclean_leader_election_enable: bool = Field(False, description="Accepted; there is one replica.")
    ingest_retention_by: Literal["append", "record"] = Field(
        "append", description="Whether age counts from the time of append or, as in Kafka, from the record's time."
    )
    ingest_retention_ignores_sinks: bool = Field(
        False, description="Whether retention may pass the position of a sink that is registered on the topic."
    )

    @classmethod
    def parse(cls, values: Mapping[str, object], topic: str = "") -> TopicConfig:
        """Raises ``TopicInvalid`` that names the setting, and the nearest known one for an unknown name."""
        known = setting_names()
        place = f" of topic {topic}" if topic else ""
        for name in values:
            if name not in known:
                near = nearest(name, known)
                hint = f"did you mean {near}?" if near else f"known settings: {', '.join(known)}"
                raise TopicInvalid(f"unknown setting {name}{place}", hint=hint, setting=name, topic=topic)
        try:
            return cls(**cast(dict[str, Any], dict(values)))
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            raise TopicInvalid(f"setting {name}{place}: {first['msg']}", setting=name, topic=topic) from error

    @property
    def deletes(self) -> bool:
        return "delete" in self.cleanup_policy

    @property
    def compacts(self) -> bool:
        return "compact" in self.cleanup_policy


def setting_names() -> list[str]:
    """Every setting a topic knows, by Kafka's names."""
    return [field.alias or name for name, field in TopicConfig.model_fields.items()]
