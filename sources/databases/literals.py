"""Values as SQL has them."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time
from decimal import Decimal

from ingest.errors import ConnectorError


def literal(value: object) -> str:
    """Numbers bare, all else in single quotes. Raises ``ConnectorError`` for what has no order in a database."""
    if isinstance(value, bool) or value is None:
        raise ConnectorError(f"{value!r} cannot divide a table")
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConnectorError(f"{value!r} cannot divide a table")
        return repr(value)
    if isinstance(value, datetime):
        return f"'{value.astimezone(UTC) if value.tzinfo else value}'"
    if isinstance(value, str | date | time):
        return "'" + str(value).replace("'", "''") + "'"
    raise ConnectorError(f"values of the type {type(value).__name__} cannot divide a table")
