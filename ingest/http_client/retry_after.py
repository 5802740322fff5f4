"""When a server that is busy wants to be asked again."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

BUSY = (429, 503)
"""The answers that may say so (RFC 6585, RFC 9110)."""


def retry_after_ms(header: str | None, now_ms: int) -> int | None:
    """Milliseconds from now, from seconds or a date; None where there is neither."""
    text = (header or "").strip()
    if text.isdigit():
        return int(text) * 1000
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0, int(moment.timestamp() * 1000) - now_ms)
