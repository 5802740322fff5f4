"""The settings of the ``http`` source."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from ingest.config import ByteSize, DurationMs, Secret, Settings
from ingest.sources.listening.address import Address, Allowed

MIB = 1024 * 1024
DAY_MS = 86_400_000

PLACEHOLDER = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|\{[a-z_][a-z0-9_]*\})*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _path(value: str) -> str:
    if not _PATH.fullmatch(value):
        raise ValueError(f"{value!r} is no path; it begins with a slash, and may hold names as in /hooks/{{sender}}")
    return value


def _header(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise ValueError(f"{value!r} is no name of a header")
    return value


UrlPath = Annotated[str, AfterValidator(_path)]
HeaderName = Annotated[str, AfterValidator(_header)]


class AuthSettings(Settings):
    """Who may post."""

    type: Literal["none", "bearer", "basic", "hmac", "github", "stripe", "standard-webhooks"] = Field(
        "none",
        description="`bearer`: a token; `basic`: user and password; `github`, `stripe`, `standard-webhooks`: the "
        "signatures that these send; `hmac`: any other signature over the body.",
    )
    secret: Secret | list[Secret] = Field(
        default_factory=list,
        description="The token, the password as `user:password`, or the signing secret. Of a list each one is good: "
        "add the new one, change the senders, remove the old one.",
    )
    header: HeaderName = Field("X-Signature", description="`hmac`: the header that holds the signature.")
    prefix: str = Field("", description="`hmac`: what stands before the signature, such as `sha256=`.")
    algorithm: Literal["sha256", "sha512", "sha1"] = Field("sha256", description="`hmac`: the hash.")
    encoding: Literal["hex", "base64"] = Field("hex", description="`hmac`: how the signature is written.")
    timestamp_header: HeaderName | None = Field(
        None,
        description="`hmac`: a header with Unix seconds, signed as `<timestamp>.<body>`; with it, replays are refused.",
    )
    tolerance: DurationMs = Field(
        300_000,
        ge=1_000,
        description="How far a signed timestamp may be from the clock, either way. GitHub signs none: there a replay "
        "is known by its delivery id, for as long as `idempotency.window`.",
    )

    @property
    def secrets(self) -> list[str]:
        """All that are good now."""
        found = self.secret if isinstance(self.secret, list) else [self.secret]
        return [one.get_secret_value() for one in found]

    @model_validator(mode="after")
    def _has_secrets(self) -> Self:
        if self.type == "none":
            return self
        if not self.secrets or not all(self.secrets):
            raise ValueError(f"auth of type {self.type} needs a secret that is not empty")
        if self.type == "basic" and not all(":" in secret for secret in self.secrets):
            raise ValueError("the secret of basic auth is written user:password")
        return self


class TlsSettings(Settings):
    """Certificates, as PEM files; relative paths start at the pipeline file."""

    certificate: str = Field(description="The server's certificate, with those that lead to its authority.")
    key: str = Field(description="Its private key.")
    client_authority: str | None = Field(
        None, description="Authority whose client certificates are demanded; no other client gets further."
    )


class RateLimit(Settings):
    """More than this is answered 429, with the seconds to wait."""

    requests: float = Field(gt=0, description="Requests a second, on average.")
    burst: int = Field(100, ge=1, description="How many may come at once.")
    by: Literal["address", "all"] = Field("address", description="Counted for each client address, or for all.")


class Cors(Settings):
    """Which web pages may post from a browser."""

    origins: list[str] = Field(min_length=1, description='Origins such as `https://example.com`, or `"*"`.')
    headers: list[HeaderName] = Field(
        default_factory=lambda: ["Content-Type", "Authorization", "Idempotency-Key"],
        description="Request headers that such pages may set.",
    )
    max_age: DurationMs = Field(600_000, ge=0, description="How long a browser may remember the permission.")


class Idempotency(Settings):
    """Requests that carry a key are stored once, however often they come."""

    headers: list[HeaderName] = Field(
        default_factory=lambda: ["Idempotency-Key", "webhook-id", "X-GitHub-Delivery"],
        description="The first of these that a request has is its key.",
    )
    window: DurationMs = Field(DAY_MS, ge=0, description="How long a key is remembered, restarts included; 0: never.")
    keys: int = Field(
        100_000,
        ge=1,
        description="Most keys remembered, about 0.5 KB of memory each; beyond, the oldest go before their time.",
    )


class Limits(Settings):
    """What one request, and all of them, may take."""

    body: ByteSize = Field(16 * MIB, ge=1, le=1024 * MIB, description="A body as it comes, and decompressed.")
    header: ByteSize = Field(64 * 1024, ge=256, description="Request line and headers.")
    depth: int = Field(64, ge=1, le=1000, description="JSON objects and lists inside each other.")
    connections: int = Field(1_000, ge=1, description="Connections; more are closed as they come.")
    connections_per_address: int = Field(256, ge=1, description="The same for one client address.")
    receiving: ByteSize = Field(
        64 * MIB, ge=1, description="Bodies that are still coming in; beyond, the oldest of them is given up with 503."
    )
    waiting: ByteSize = Field(
        64 * MIB, ge=1, description="Events that wait for the hub; beyond, requests are answered 503."
    )
    request_time: DurationMs = Field(30_000, ge=100, description="A request must have come in whole within this time.")
    idle_time: DurationMs = Field(75_000, ge=100, description="A connection without a request is closed after this.")


class RouteSettings(Settings):
    """One path; what is left out is as the source has it."""

    path: UrlPath = Field(description="The path; `{name}` stands for one part of it.")
    topic: str | None = Field(
        None, description="Where its events go; may hold `{name}` of the path. By default the source's topic."
    )
    format: Literal["json", "text", "bytes"] | None = Field(None, description="As the source's `format`.")
    auth: AuthSettings | None = Field(None, description="As the source's `auth`.")
    headers: list[HeaderName] | None = Field(None, description="As the source's `headers`.")

    @model_validator(mode="after")
    def _names_are_in_the_path(self) -> Self:
        known = PLACEHOLDER.findall(self.path)
        for name in PLACEHOLDER.findall(self.topic or ""):
            if name not in known:
                raise ValueError(f"the topic has {{{name}}}, and the path has not")
        return self


class HttpSettings(Settings):
    """Settings of the ``http`` source."""

    listen: str = Field("127.0.0.1:8080", description="HOST:PORT; port 0 takes a free one and says which.")
    path: UrlPath = Field("/", description="Where events are posted, if there are no `routes`.")
    routes: list[RouteSettings] = Field(
        default_factory=list, description="Several paths, each with a topic, format and auth of its own."
    )
    most_topics: int = Field(
        100, ge=1, description="How many topics the paths with `{name}` in their topic may lead to; others are 404."
    )
    format: Literal["json", "text", "bytes"] = Field(
        "json",
        description="What an event is. `json`: an object, by content type one, a list, one a line (NDJSON), "
        "CloudEvents, or a row of CSV. `text`: a line. `bytes`: the body.",
    )
    csv_delimiter: str = Field(",", min_length=1, max_length=1, description="What separates the fields of CSV.")
    headers: list[HeaderName] = Field(
        default_factory=list, description="Request headers that become headers of each record."
    )
    auth: AuthSettings = Field(AuthSettings(), description="Who may post.")
    allow_anonymous: bool = Field(
        False, description="Listen beyond this machine although anybody may post. It must be said explicitly."
    )
    allow_from: list[Allowed] = Field(
        default_factory=list, description="Client addresses or networks; others get 403. Empty: all."
    )
    trusted_proxies: list[Allowed] = Field(
        default_factory=list, description="Proxies whose X-Forwarded-For tells the client's address."
    )
    tls: TlsSettings | None = Field(None, description="Speak HTTPS.")
    cors: Cors | None = Field(None, description="Let web pages post.")
    rate_limit: RateLimit | None = Field(None, description="How often a client may post.")
    idempotency: Idempotency = Field(Idempotency(), description="Repeated requests are stored once.")
    limits: Limits = Field(Limits(), description="Bounds on sizes, counts and times.")

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        host, colon, port = value.rpartition(":")
        if not colon or not host or not port.isdigit() or int(port) > 65535:
            raise ValueError(f"{value!r} is not HOST:PORT, such as 127.0.0.1:8080")
        return value

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def all_routes(self) -> list[RouteSettings]:
        """The routes, or the one that ``path`` makes; nothing is left out in them."""
        own: dict[str, Any] = {"format": self.format, "auth": self.auth, "headers": self.headers}
        if not self.routes:
            return [RouteSettings(path=self.path, **own)]
        return [
            route.model_copy(update={name: value for name, value in own.items() if getattr(route, name) is None})
            for route in self.routes
        ]

    @model_validator(mode="after")
    def _safe_beyond_this_machine(self) -> Self:
        if self.allow_anonymous or Address(*self.address).is_loopback:
            return self
        if self.tls is not None and self.tls.client_authority is not None:
            return self
        for route in self.all_routes:
            if route.auth is None or route.auth.type == "none":
                raise ValueError(
                    f"{self.listen} can be reached from other machines, and anybody may post to {route.path}: set "
                    "auth, or listen on 127.0.0.1, or say allow_anonymous: true"
                )
        return self
