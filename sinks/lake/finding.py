"""What checks say."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """``repair`` says what ``--repair`` does about it (None: nothing), ``repaired`` that it was done."""

    severity: Literal["error", "warning"]
    place: str
    problem: str
    repair: str | None = None
    repaired: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
