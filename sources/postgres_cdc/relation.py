"""The message that describes a table, before the first change of it and after each change of its shape."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ingest.errors import DecodeFailed


@dataclass(frozen=True, slots=True)
class RelationColumn:
    """``type`` is the number of its type in the catalogue, of a domain: of the domain."""

    name: str
    in_key: bool
    type: int
    modifier: int


@dataclass(frozen=True, slots=True)
class Relation:
    """``identity`` says which columns of a row's old state are sent: ``d`` those of the primary key, ``i`` of an index,
    ``f`` all, ``n`` none."""

    oid: int
    schema: str
    name: str
    identity: str
    columns: tuple[RelationColumn, ...]


def relation_in(message: bytes) -> Relation:
    """Reads ``R``, relation, schema, name, identity, count, and for each column flags, name, type, modifier."""
    try:
        (oid,) = struct.unpack_from(">I", message, 1)
        schema, at = _text(message, 5)
        name, at = _text(message, at)
        identity, count = struct.unpack_from(">cH", message, at)
        at += 3
        columns = []
        for _ in range(count):
            flags = message[at]
            column, at = _text(message, at + 1)
            kind, modifier = struct.unpack_from(">Ii", message, at)
            at += 8
            columns.append(RelationColumn(column, bool(flags & 1), kind, modifier))
    except (struct.error, IndexError, ValueError) as error:
        raise DecodeFailed(f"replication stream: the description of a table cannot be read: {error}") from error
    return Relation(oid, schema or "pg_catalog", name, identity.decode(), tuple(columns))


def _text(message: bytes, at: int) -> tuple[str, int]:
    end = message.index(0, at)
    return message[at:end].decode(), end + 1
