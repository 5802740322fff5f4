"""The settings of the ``exec`` source."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, field_validator

from ingest.config import ByteSize, DurationMs
from ingest.sources.messages.settings import KIB, MIB, MessageSettings

Hidden = Annotated[
    dict[str, str],
    PlainSerializer(lambda value: dict.fromkeys(value, "**********"), return_type=dict[str, str]),
]


class ExecSettings(MessageSettings):
    """Settings of the ``exec`` source."""

    command: str | list[str] = Field(
        description="A list is run as it is, without a shell: `[journalctl, -f, -o, json]`. A text is run by "
        "`/bin/sh -c`.",
        examples=[["journalctl", "-f", "-o", "json"]],
    )
    on_exit: Literal["restart", "stop", "fail"] = Field(
        "restart",
        description="When the command ends: it is started again after a while; or the source is done (`stop`; an exit "
        "code other than 0 is an error); or it is an error in any case (`fail`). With `--until-caught-up` it runs "
        "once, as with `stop`.",
    )
    restart_wait: DurationMs = Field(
        1_000, ge=0, description="How long before it is started again. Doubles with each failure in a row."
    )
    max_restart_wait: DurationMs = Field(60_000, ge=0, description="The longest such wait.")
    stop_wait: DurationMs = Field(
        3_000,
        ge=0,
        le=8_000,
        description="How long the command has to end after SIGTERM; then it is killed, with all processes that it has "
        "started (unless they have left its process group).",
    )
    environment: Hidden = Field(
        default_factory=dict,
        repr=False,
        description="Variables for the command, on top of those of this process. Their values are never printed.",
    )
    folder: str = Field(".", description="Where it is run; relative to the pipeline file.")
    queue: ByteSize = Field(
        4 * MIB, ge=64 * KIB, description="What may wait in memory for the hub, about; then the command waits."
    )

    @field_validator("command")
    @classmethod
    def _not_empty(cls, value: str | list[str]) -> str | list[str]:
        if not value or not value[0].strip():
            raise ValueError("a command is needed")
        return value
