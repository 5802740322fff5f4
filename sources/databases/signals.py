"""What a user asks of a capture that runs, by a row of a table in the database: the signals of Debezium."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

COLUMNS = ("id", "type", "data")
_UNKNOWN = ("additional-condition", "additional-conditions", "surrogate-key")


@dataclass(frozen=True, slots=True)
class Signal:
    """``tables`` are names and patterns, as in the setting; to stop, none means all."""

    kind: Literal["execute-snapshot", "stop-snapshot"]
    tables: Sequence[str]


def signal_of(row: Mapping[str, Any]) -> Signal:
    """The signal that a row of the table is. Raises ``ValueError`` with what is wrong with it."""
    kind = row.get("type")
    if kind not in ("execute-snapshot", "stop-snapshot"):
        raise ValueError(f"{kind!r} is no signal: execute-snapshot and stop-snapshot are")
    try:
        data = json.loads(row.get("data") or "{}")
    except ValueError as error:
        raise ValueError(f"its data are no JSON: {error}") from None
    if not isinstance(data, dict):
        raise ValueError("its data are no JSON object")
    if str(data.get("type", "incremental")).lower() != "incremental":
        raise ValueError(f"snapshots of the type {data['type']!r} are not made: incremental ones are")
    unknown = next((name for name in _UNKNOWN if data.get(name)), None)
    if unknown is not None:
        raise ValueError(f"{unknown} is not known here: a snapshot reads whole tables")
    tables = data.get("data-collections", [])
    if not isinstance(tables, list) or not all(isinstance(name, str) and name for name in tables):
        raise ValueError('data-collections has to be a list of tables: ["public.orders"]')
    if kind == "execute-snapshot" and not tables:
        raise ValueError('which tables? data has to be {"data-collections": ["public.orders"]}')
    return Signal(kind, tables)
