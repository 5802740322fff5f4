"""Columns that were found in the rows themselves (``json``, ``logfmt``), not named by a format or a setting.

Rows of the next batch may have others, so a name that is missing here is null and no mistake. Fields of
such a struct carry a mark in their metadata, which types compare equal without and which ``rename``,
``drop`` and a topic's schema keep.
"""

from __future__ import annotations

import pyarrow as pa

_MARK = {b"ingest.found": b"1"}


def marked(fields: list[pa.Field]) -> list[pa.Field]:
    """The fields of a struct whose columns were found in its rows."""
    return [field.with_metadata({**(field.metadata or {}), **_MARK}) for field in fields]


def are_found(kind: pa.DataType) -> bool:
    """Whether rows of another batch may have other columns than the struct ``kind``."""
    if not pa.types.is_struct(kind):
        return False
    return not kind.num_fields or any((field.metadata or {}).get(b"ingest.found") for field in kind)
