"""Messages as a column of text, if they are text."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Annotated, Literal

import pyarrow as pa
from pydantic import AfterValidator

Undecodable = Literal["dead-letter", "replace", "bytes"]


def _known(name: str) -> str:
    try:
        found = codecs.lookup(name)
        "\n".encode(name)
    except (LookupError, UnicodeError, TypeError):
        raise ValueError(f"no such encoding: {name!r}") from None
    if not getattr(found, "_is_text_encoding", True) or "\n".encode(name) != b"\n":
        raise ValueError(f"{name!r} does not write a line end as one byte: lines cannot be told apart")
    return name


EncodingName = Annotated[str, AfterValidator(_known)]


def as_column(messages: Sequence[bytes], encoding: str, undecodable: Undecodable) -> tuple[pa.Array, list[int]]:
    """The value column, and which of the messages are not in ``encoding`` (their values are null).

    UTF-8 is checked by Arrow; only a batch that holds bad bytes is looked at message by message.
    """
    whole = pa.array(messages, pa.binary())
    if undecodable == "bytes":
        return whole, []
    if codecs.lookup(encoding).name in ("utf-8", "ascii"):
        try:
            return whole.cast(pa.string()), []
        except pa.ArrowInvalid:
            pass
    errors = "replace" if undecodable == "replace" else "strict"
    texts = [_decoded(message, encoding, errors) for message in messages]
    return pa.array(texts, pa.string()), [row for row, text in enumerate(texts) if text is None]


def _decoded(message: bytes, encoding: str, errors: str) -> str | None:
    try:
        return message.decode(encoding, errors)
    except UnicodeError:
        return None
