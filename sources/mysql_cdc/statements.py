"""Statements in a binlog of rows: what begins and ends transactions, and what changes tables."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Literal

_TRUNCATE = re.compile(
    r"TRUNCATE\s+(?:TABLE\s+)?((?:`(?:[^`]|``)+`|[^\s`.;/]+)(?:\s*\.\s*(?:`(?:[^`]|``)+`|[^\s`.;/]+))?)", re.I
)
_PART = re.compile(r"`((?:[^`]|``)+)`|([^\s`.]+)")
_COMMENT = re.compile(r"\A(?:\s|/\*(?!!).*?\*/|--[^\n]*\n|#[^\n]*\n)+", re.S)

Kind = Literal["begin", "commit", "rollback", "savepoint", "xa", "truncate", "other"]


@dataclass(frozen=True, slots=True)
class LoggedStatement:
    """``table`` is (database, name) of a table that it empties."""

    kind: Kind
    text: str
    table: tuple[str, str] | None = None


def logged_statement(body: bytes) -> LoggedStatement:
    """``body`` is a query event between its head and its checksum."""
    schema_length, _, status_length = struct.unpack_from("<BHH", body, 8)
    at = 13 + status_length
    schema = body[at : at + schema_length].decode("utf-8", "replace")
    text = body[at + schema_length + 1 :].decode("utf-8", "replace")
    bare = _COMMENT.sub("", text)
    word = bare[:24].upper()
    if word.startswith("BEGIN"):
        return LoggedStatement("begin", text)
    if word.startswith("COMMIT"):
        return LoggedStatement("commit", text)
    if word.startswith("ROLLBACK"):
        return LoggedStatement("savepoint" if " TO " in bare[:24].upper() + " " else "rollback", text)
    if word.startswith("SAVEPOINT"):
        return LoggedStatement("savepoint", text)
    if word.startswith("XA "):
        return LoggedStatement("xa", text)
    match = _TRUNCATE.match(bare)
    if match is None:
        return LoggedStatement("other", text)
    names = [(quoted or plain).replace("``", "`") for quoted, plain in _PART.findall(match.group(1))]
    return LoggedStatement("truncate", text, (names[0], names[1]) if len(names) > 1 else (schema, names[0]))
