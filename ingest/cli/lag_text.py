"""A task's lag in words, each unit in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SCALES = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def lag_text(task: Mapping[str, Any]) -> str | None:
    """``120 records, 3.0 s``, ``5.2 MB``; None where the task's lag is not known."""
    lag = task.get("lag")
    if not lag:
        return None
    return ", ".join(_amount(unit, amount) for unit, amount in lag.items())


def _amount(unit: str, amount: float) -> str:
    if unit == "ms":
        return f"{amount / 1000:,.1f} s"
    if unit == "bytes":
        for name, scale in _SCALES:
            if amount >= scale:
                return f"{amount / scale:,.1f} {name}"
    return f"{amount:,} {unit}"
