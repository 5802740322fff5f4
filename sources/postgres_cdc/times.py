"""PostgreSQL counts from the year 2000."""

from __future__ import annotations

import numpy as np

_SINCE_2000_MS = 946_684_800_000


def unix_ms(since_2000_us: np.ndarray) -> np.ndarray:
    """Milliseconds since 1970 of microseconds since 2000."""
    return since_2000_us // 1000 + _SINCE_2000_MS


def since_2000_us(unix: int) -> int:
    """Microseconds since 2000 of milliseconds since 1970."""
    return (unix - _SINCE_2000_MS) * 1000
