"""What a pipeline file may say, apart from the settings of its connectors."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from ingest.config import ByteSize, DurationMs, Settings

_NAME = re.compile(r"^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$")


def _named(value: str) -> str:
    if not _NAME.match(value):
        raise ValueError("a name has 1 to 128 letters, digits, dots, dashes and underscores, and no dot at its ends")
    return value


Name = Annotated[str, AfterValidator(_named)]
FormatName = Literal["lines", "json", "avro", "arrow", "bytes"]


class TopicSpec(Settings):
    """Settings of a topic that the pipeline makes."""

    partitions: int = Field(1, ge=1, le=10_000, description="How many partitions a new topic gets.")
    format: FormatName | None = Field(
        None,
        description="How values are written as bytes; by default what fits the values best.",
    )
    contract: Literal["evolve", "freeze", "dead-letter"] = Field(
        "evolve",
        description="A schema change: the schema grows, the task stops, or the records go to the dead letters.",
    )
    config: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Kafka's topic settings by their names, such as `retention.ms`."
    )


class RetrySpec(Settings):
    """How often a task that fails for a passing reason is tried again."""

    budget: int = Field(20, ge=0, description="Failures allowed within `window`; one more stops the pipeline.")
    window: DurationMs = Field(600_000, description="Over what time failures are counted.")
    backoff: DurationMs = Field(200, ge=1, description="First pause; it doubles with each failure in a row.")
    max_backoff: DurationMs = Field(30_000, ge=1, description="Longest pause.")


class SourceSpec(Settings):
    """Keys that every source has; the others are its connector's settings."""

    name: Name = Field(description="Unique among the sources; names its position in the hub.")
    type: str = Field(description="The connector: `ingest connectors` lists them.")
    topic: str | None = Field(None, description="Where records go, unless a transform routes them.")
    key: str | None = Field(
        None, description="SQL over the value's columns: the record's key, which picks its partition."
    )
    timestamp: str | None = Field(
        None,
        description="SQL over the value's columns: the record's time, as a timestamp or ISO 8601 text; what is none, "
        "or lies over an hour ahead, is the arrival.",
    )
    transforms: list[dict[str, Any]] = Field(default_factory=list, description="Steps between the source and the hub.")
    max_batch: ByteSize = Field(
        4 * 1024 * 1024,
        gt=0,
        description="Most bytes of one batch. The source `file` commits up to four together.",
    )
    retry: RetrySpec = Field(RetrySpec(), description="Retries after passing failures.")


class SinkSpec(Settings):
    """Keys that every sink has; the others are its connector's settings."""

    name: Name = Field(description="Unique among the sinks; names its group and its manifests.")
    type: str = Field(description="The connector: `ingest connectors` lists them.")
    topics: list[str] = Field(min_length=1, description="Topics to read; patterns such as `access.*` are allowed.")
    transforms: list[dict[str, Any]] = Field(default_factory=list, description="Steps between the hub and the sink.")
    retry: RetrySpec = Field(RetrySpec(), description="Retries after passing failures.")


class ErrorsSpec(Settings):
    """What happens to a record that cannot go on."""

    tolerance: Literal["none", "dead-letter"] = Field(
        "dead-letter", description="`none` stops the task; `dead-letter` keeps the record, with its reason, in `topic`."
    )
    topic: str | None = Field(None, description="The dead-letter topic; by default `<pipeline>.dead`.")


class TestSpec(Settings):
    """One test of the pipeline: records in, records out, run by `ingest test`."""

    __test__ = False

    name: str = Field(description="What is tested, in words.")
    source: str | None = Field(None, description="The source whose transforms run; by default the only one.")
    sink: str | None = Field(None, description="The sink whose transforms run after them, if any.")
    input: list[Any] = Field(description="Values as the source would give them: text lines, or mappings of columns.")
    output: list[Any] = Field(
        default_factory=list, description="Values expected, in order; columns not named are not compared."
    )
    dead: list[str] | None = Field(
        None,
        description="Text that each expected dead letter's reason contains, in order; by default none is expected.",
    )


class PipelineSpec(Settings):
    """A pipeline file."""

    name: Name = Field(description="Unique within a hub; names groups, transactions and manifests.")
    hub: str = Field("./ingest-data", description="The embedded hub's folder, or kafka://HOST:PORT,…")
    topics: dict[Name, TopicSpec] = Field(
        default_factory=dict, description="Settings for topics that the pipeline makes."
    )
    sources: list[dict[str, Any]] = Field(default_factory=list, description="Where data comes from.")
    streams: list[Any] = Field(
        default_factory=list, max_length=0, description="Stateful work; must be empty in this version."
    )
    sinks: list[dict[str, Any]] = Field(default_factory=list, description="Where data goes.")
    errors: ErrorsSpec = Field(ErrorsSpec(), description="What happens to a record that cannot go on.")
    tests: list[TestSpec] = Field(default_factory=list, description="Input and expected output, run by `ingest test`.")
