"""What the envelope tells about where a change comes from."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from ingest import __version__

SOURCE = pa.struct(
    [
        ("version", pa.string()),
        ("connector", pa.string()),
        ("name", pa.string()),
        ("ts_ms", pa.int64()),
        ("snapshot", pa.string()),
        ("db", pa.string()),
        ("table", pa.string()),
        ("change", pa.int64()),
    ]
)
"""Debezium's fields, as far as SQLite knows them, and the number of the change among those of its table."""


def source_column(
    name: str, database: str, table: str, changes: Sequence[Sequence[object]], snapshot: str = "false"
) -> pa.StructArray:
    """``changes`` are their numbers and times."""
    count = len(changes)
    same = {
        "version": __version__,
        "connector": "sqlite",
        "name": name,
        "snapshot": snapshot,
        "db": database,
        "table": table,
    }
    columns = {key: pa.repeat(pa.scalar(value, pa.string()), count) for key, value in same.items()}
    columns["change"] = pa.array([change for change, _ in changes], pa.int64())
    columns["ts_ms"] = pa.array([at_ms for _, at_ms in changes], pa.int64())
    return pa.StructArray.from_arrays([columns[field.name] for field in SOURCE], fields=list(SOURCE))
