"""The settings of the ``http`` sink."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from ingest.config import ByteSize, DurationMs, Secret, Settings
from ingest.http_client.auth import AuthSettings
from ingest.sinks.http.signing import key_of

MIB = 1024 * 1024


def _http_url(value: str) -> str:
    if not value.startswith(("http://", "https://")) or "@" in value.split("/")[2]:
        raise ValueError("an http:// or https:// URL without a user is needed; credentials go to `auth`")
    return value


class Batch(Settings):
    """What is posted at once: rows of one partition, until one of these is reached."""

    rows: int = Field(500, ge=1, description="Rows in a request.")
    bytes: ByteSize = Field(1 * MIB, ge=1, description="Bytes in a request; a larger row is posted alone.")
    interval: DurationMs = Field(1_000, ge=1, description="How long a row waits for others to go with.")


class Sign(Settings):
    """Signatures as Standard Webhooks defines them: headers `webhook-id`, `webhook-timestamp`, `webhook-signature`."""

    secret: Secret | list[Secret] = Field(
        description="`whsec_` and base64. Of a list each one signs, so that a receiver may change over."
    )

    @field_validator("secret")
    @classmethod
    def _usable(cls, value: Secret | list[Secret]) -> Secret | list[Secret]:
        for secret in value if isinstance(value, list) else [value]:
            key_of(secret.get_secret_value())
        if isinstance(value, list) and not value:
            raise ValueError("a secret is needed")
        return value

    @property
    def keys(self) -> list[bytes]:
        """What signs."""
        found = self.secret if isinstance(self.secret, list) else [self.secret]
        return [key_of(secret.get_secret_value()) for secret in found]


class HttpSinkSettings(Settings):
    """Settings of the ``http`` sink."""

    url: Annotated[str, AfterValidator(_http_url)] = Field(
        description="Where rows are sent; may hold `{topic}`.", examples=["https://example.com/events/{topic}"]
    )
    method: Literal["POST", "PUT", "PATCH"] = Field("POST", description="The method of each request.")
    format: Literal["ndjson", "json"] = Field(
        "ndjson", description="One JSON object a line (`application/x-ndjson`), or a JSON list of them."
    )
    origin: bool = Field(
        False, description="Also send `_topic`, `_partition`, `_offset` and `_timestamp` of each row, as columns."
    )
    batch: Batch = Field(default_factory=Batch, description="How rows are put together to requests.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers of each request; no secrets: `auth`.")
    auth: AuthSettings = Field(default_factory=AuthSettings, description="How requests say who sends them.")
    sign: Sign | None = Field(None, description="Sign requests, so that the receiver can tell who has made them.")
    timeout: DurationMs = Field(30_000, ge=100, description="How long a request may take, to its answer's last byte.")
    attempts: int = Field(
        5, ge=1, description="How often a request is sent in a row before the task is opened anew (see `retry`)."
    )
    max_wait: DurationMs = Field(
        300_000, ge=0, description="The longest that a busy receiver (429, 503) may ask to be left alone."
    )
    refusals: list[int] = Field(
        default_factory=lambda: [400, 413, 422],
        description="The answers that say that rows are at fault. Such a batch is halved, and again, until the bad "
        "rows stand alone; these become dead letters. Any other 4xx stops the sink.",
    )
    ca: str | None = Field(None, description="A PEM file of authorities to trust, in place of the system's.")

    @field_validator("refusals")
    @classmethod
    def _client_errors(cls, value: list[int]) -> list[int]:
        if any(not 400 <= status < 500 or status in (408, 409, 425, 429) for status in value):
            raise ValueError("refusals are answers from 400 to 499, without 408, 409, 425 and 429, which pass")
        return value
