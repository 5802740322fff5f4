"""The settings of the ``http_poll`` source."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ingest.config import ByteSize, DurationMs, Settings
from ingest.http_client.auth import AuthSettings

MIB = 1024 * 1024


def _http_url(value: str) -> str:
    if not value.startswith(("http://", "https://")) or "@" in value.split("/")[2]:
        raise ValueError("an http:// or https:// URL without a user is needed; credentials go to `auth`")
    return value


HttpUrl = Annotated[str, AfterValidator(_http_url)]


class Pages(Settings):
    """How the API hands out more than fits one answer."""

    type: Literal["none", "page", "offset", "cursor", "next", "link"] = Field(
        "none",
        description="`page`: a number that grows; `offset`: how many records to pass over; `cursor`: a value in the "
        "body that is sent back; `next`: a URL in the body; `link`: the header `Link` with `rel=next`.",
    )
    param: str | None = Field(
        None, description="The parameter that carries page, offset or cursor. The type's own name unless set."
    )
    size: int | None = Field(
        None, ge=1, description="How many records a full page holds; needed for `page`: a page with fewer is the last."
    )
    size_param: str | None = Field(None, description="The parameter that asks for `size` records.")
    first: int = Field(1, ge=0, description="Of `page`: the number of the first page.")
    path: str | None = Field(
        None, description="Of `cursor` and `next`: where it stands in the body, such as `meta.next_cursor`."
    )

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if (self.type in ("cursor", "next")) != (self.path is not None):
            raise ValueError("`path` goes with the types cursor and next, and only with them")
        if self.type == "page" and self.size is None:
            raise ValueError("pages of type page need `size`: how many records a full page holds")
        if self.size_param is not None and self.size is None:
            raise ValueError("`size_param` needs `size`")
        return self


class Since(Settings):
    """Ask only for what is newer than the newest record so far."""

    param: str = Field(description="The parameter that carries the newest record's value.")
    field: str = Field(description="Where that value stands in a record, such as `updated_at`: a number or a text.")
    start: str | int | None = Field(None, description="What is sent before there is any record; nothing unless set.")


class HttpPollSettings(Settings):
    """Settings of the ``http_poll`` source."""

    url: HttpUrl = Field(description="What is asked for, such as `https://api.example.com/v1/orders`.")
    method: Literal["GET", "POST"] = Field("GET", description="`POST` sends `body`.")
    body: str | None = Field(None, description="The body of a POST; JSON unless `headers` say otherwise.")
    params: dict[str, str] = Field(default_factory=dict, description="Parameters of each request; no secrets: `auth`.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers of each request; no secrets: `auth`.")
    auth: AuthSettings = Field(default_factory=AuthSettings, description="How requests say who sends them.")
    records: str = Field(
        "",
        description="Where the list of records stands in the body, such as `data.items`; the body itself unless set.",
    )
    pages: Pages = Field(default_factory=Pages, description="How to come to more than one answer holds.")
    since: Since | None = Field(None, description="Ask only for what is newer than the newest record so far.")
    every: DurationMs = Field(60_000, ge=100, description="How long from the end of a round to the next.")
    max_pages: int = Field(
        10_000, ge=1, description="After so many pages in a round it is over; the next one goes on there."
    )
    timeout: DurationMs = Field(30_000, ge=100, description="How long a request may take, to its last byte.")
    max_wait: DurationMs = Field(
        900_000, ge=0, description="The longest that a busy server (429, 503) may ask to be left alone."
    )
    max_body: ByteSize = Field(64 * MIB, ge=1024, description="A larger answer, unpacked, is an error.")
    ca: str | None = Field(None, description="A PEM file of authorities to trust, in place of the system's.")

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.body is not None and self.method != "POST":
            raise ValueError("`body` goes with `method: POST`")
        return self
