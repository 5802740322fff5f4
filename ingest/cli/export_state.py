"""What became of an export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class State:
    """``number`` counts the exports of this identity that began anew. A repeated one keeps it, and with it what the
    source knows of the files that were read. ``before`` is what the table held when it began, if --validate asks, and
    ``rewrites`` which files a lake table had."""

    number: int = 0
    phase: Literal["none", "running", "done"] = "none"
    before: Mapping[str, Any] | None = None
    rewrites: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> State:
        return cls(**kept)

    def as_json(self) -> Mapping[str, Any]:
        return asdict(self)

    def begun(self, *, again: bool, possible: bool) -> State:
        """An export that was interrupted goes on, whatever is said, as long as that is ``possible``."""
        if (self.phase == "running" and possible) or (self.phase != "none" and not again):
            return replace(self, phase="running")
        return State(self.number + 1, "running")

    def is_new(self, before: State) -> bool:
        """Whether it began anew."""
        return self.number > before.number

    def ended(self) -> State:
        return replace(self, phase="done")
