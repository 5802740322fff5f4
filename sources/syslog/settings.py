"""The settings of the ``syslog`` source."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from ingest.sources.listening.settings import ListenSettings


class SyslogSettings(ListenSettings):
    """Settings of the ``syslog`` source."""

    protocol: Literal["udp", "tcp", "relp"] = Field(
        description="How senders send: `udp`, `tcp` (RFC 6587; with `tls` RFC 5425), or `relp`, the only one that "
        "loses nothing."
    )
    framing: Literal["auto", "octets", "lines", "nuls"] = Field(
        "auto",
        description="Of `tcp`, what separates messages: a count of octets before each, a line feed or NUL after each. "
        "`auto` takes a message that begins with a count and `<` for a counted one, any other for a line.",
    )

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.protocol == "udp" and self.tls is not None:
            raise ValueError("`tls` goes with `protocol: tcp` and `relp`")
        if self.protocol != "tcp" and self.framing != "auto":
            raise ValueError("`framing` goes with `protocol: tcp`")
        return self
