"""What each type of PostgreSQL becomes, and how it is selected so that nothing is lost on the way.

docs/guides/database-types.md is this table in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from ingest.formats.copy_rows import CopyColumn
from ingest.sources.databases.tables import ColumnInfo, quoted

_AS_SENT = {
    "bool": "bool",
    "int2": "int2",
    "int4": "int4",
    "int8": "int8",
    "oid": "oid",
    "float4": "float4",
    "float8": "float8",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "bytea": "bytea",
    "text": "text",
    "varchar": "text",
    "bpchar": "text",
    "name": "text",
    "json": "text",
    "jsonb": "jsonb",
}
"""Types whose binary form is read, by the wire type of ``CopyColumn``; of all others the server sends the text."""


@dataclass(frozen=True, slots=True)
class CopiedColumn:
    """A column in a COPY: ``copied`` is what comes out of the decoder, ``info.type`` what it becomes."""

    info: ColumnInfo
    copied: CopyColumn


def copied_column(name: str, type_name: str, modifier: int) -> CopiedColumn:
    """``type_name`` is the catalogue's (of a domain: of its base), ``modifier`` as the server describes a column."""
    if type_name == "numeric":
        return _numeric(name, modifier)
    wire = _AS_SENT.get(type_name)
    if wire is None:
        return _as_text(name, type_name, pa.string())
    copied = CopyColumn(name, wire)
    return CopiedColumn(ColumnInfo(name, type_name, copied.type, quoted(name)), copied)


def _numeric(name: str, modifier: int) -> CopiedColumn:
    if modifier < 4:
        return _as_text(name, "numeric", pa.string())
    precision = (modifier - 4) >> 16
    scale = (((modifier - 4) & 0x7FF) ^ 1024) - 1024
    described = f"numeric({precision},{scale})"
    if not 0 <= scale <= precision or precision > 76:
        return _as_text(name, described, pa.string())
    if precision > 38:
        return _as_text(name, described, pa.decimal256(precision, scale))
    copied = CopyColumn(name, "numeric", precision, scale)
    return CopiedColumn(ColumnInfo(name, described, copied.type, quoted(name)), copied)


def _as_text(name: str, described: str, kind: pa.DataType) -> CopiedColumn:
    info = ColumnInfo(name, described, kind, f"{quoted(name)}::text AS {quoted(name)}")
    return CopiedColumn(info, CopyColumn(name, "text"))


def columns_named(columns: Sequence[CopiedColumn]) -> str:
    """The list behind SELECT."""
    return ", ".join(column.info.expression for column in columns)
