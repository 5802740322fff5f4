"""The settings of what a message is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ingest.config import ByteSize, Settings
from ingest.sources.messages.text import EncodingName, Undecodable

KIB = 1024
MIB = 1024 * KIB


class MessageSettings(Settings):
    """How long a message may be, and what its bytes mean."""

    max_message: ByteSize = Field(
        64 * KIB, ge=480, le=16 * MIB, description="A longer message is handled by `long_messages`."
    )
    long_messages: Literal["dead-letter", "split"] = Field(
        "dead-letter",
        description="A message over `max_message` goes to the dead letters in pieces of that size (it is never held "
        "whole), or with `split` the pieces are records.",
    )
    encoding: EncodingName = Field("utf-8", description="Of the messages. Records are UTF-8.")
    undecodable: Undecodable = Field(
        "dead-letter",
        description="A message that is not in the encoding goes to the dead letters, or has U+FFFD in place of bad "
        "bytes; `bytes` decodes nothing: all values are the message's own bytes.",
    )

    @property
    def split(self) -> bool:
        """Whether long messages are split into records."""
        return self.long_messages == "split"
