"""What a check of a data folder has found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """``place`` names the file or partition; ``repair`` says what ``--repair`` does about it (None: nothing can
    be done without losing good records), ``repaired`` that it was done.

    A warning is what the next opening puts right by itself.
    """

    severity: Literal["error", "warning"]
    place: str
    problem: str
    repair: str | None = None
    repaired: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
