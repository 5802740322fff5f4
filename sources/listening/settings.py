"""The settings that sources which listen share."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from ingest.config import ByteSize, DurationMs, Settings
from ingest.sources.listening.address import Allowed, ListenAddress, parse_address
from ingest.sources.messages.settings import KIB, MIB, MessageSettings


class TlsSettings(Settings):
    """The certificate that this side shows, and whether senders must show one."""

    certificate: str = Field(description="A PEM file: the certificate, followed by those between it and its authority.")
    key: str = Field(description="A PEM file: the certificate's private key, without a passphrase.")
    client_ca: str | None = Field(
        None, description="A PEM file of authorities: a sender must show a certificate that one of them has signed."
    )


class ListenSettings(MessageSettings):
    """Where to listen, who may send, and how much is taken in."""

    listen: ListenAddress = Field(
        description="`HOST:PORT`. Addresses that other machines can reach (all but loopback) need `allow_from`, "
        "`tls.client_ca` or `allow_anonymous: true`.",
        examples=["127.0.0.1:5514"],
    )
    allow_from: list[Allowed] = Field(
        default_factory=list,
        description="Networks that may send, such as `10.0.0.0/8` or `fd00::/8`; others are refused, and reported. "
        "Without any, everyone may who can reach the address.",
    )
    allow_anonymous: bool = Field(
        False, description="Say that whoever can reach the address may send, though other machines can."
    )
    queue: ByteSize = Field(
        16 * MIB,
        ge=64 * KIB,
        description="What may wait in memory for the hub, about. When it is full, TCP is not read from (senders wait), "
        "and the system drops datagrams (which is counted and reported).",
    )
    tls: TlsSettings | None = Field(None, description="Speak TLS (1.2 or newer) only.")
    connections: int = Field(
        1_000,
        ge=1,
        description="Connections at a time; more are refused, and reported. One in TLS takes 0.3 MiB.",
    )
    idle: DurationMs = Field(
        0,
        ge=0,
        description="A connection that sends nothing for so long is closed; 0: never. Most senders of log lines lose "
        "one when they are closed, so leave it at 0 where you can: peers that have died are found by TCP keep-alive.",
    )

    @model_validator(mode="after")
    def _open_on_purpose(self) -> Self:
        known = bool(self.allow_from) or (self.tls is not None and self.tls.client_ca is not None)
        if not known and not self.allow_anonymous and not parse_address(self.listen).is_loopback:
            raise ValueError(
                f"{self.listen} can be reached by other machines: say who may send, by `allow_from` or "
                "`tls.client_ca`, or say allow_anonymous: true"
            )
        return self
