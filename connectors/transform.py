"""The contract of a transform: one batch in, one batch (or several) out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ingest.config import Settings
from ingest.connectors.dead_letters import Rejected
from ingest.connectors.records import Records

State = Mapping[str, Any]
"""JSON values only; kept per stream, with the source's position."""


@dataclass(frozen=True, slots=True)
class Transformed:
    """``records`` go on (several where they are routed to topics), ``rejected`` rows go to the dead
    letters, the rest was filtered out on purpose. ``state`` replaces the stream's state (None: unchanged)."""

    records: Sequence[Records]
    rejected: Sequence[Rejected] = ()
    state: State | None = None


class Transform(ABC):
    """Named by an entry point in the group ``ingest.transforms``. Called by one thread at a time.

    Must derive its output with ``Records.filter``, ``take``, ``slice`` and ``with_value`` (or
    ``dataclasses.replace``), so that every row still knows where it came from. One bad row must never
    take its neighbour with it: reject the row, return the rest.
    """

    Settings: ClassVar[type[Settings]]
    stateful: bool = False
    """True if ``apply`` needs what it saw earlier in the same stream (column names in a file's head); an
    instance may set it, by its settings. Such a transform runs on a source only; its state commits with the
    position."""

    reads_headers: bool = True
    """False if ``apply`` never looks at ``Records.headers``: before a sink that does not either they are left out."""

    @abstractmethod
    def __init__(self, settings: Any) -> None:
        """``settings`` is an instance of ``Settings``. Raises ``ConfigError`` for what a model cannot
        check (bad SQL, bad regex). Does no I/O."""

    @abstractmethod
    def apply(self, records: Records, state: State) -> Transformed:
        """``records`` has at least one row and comes from one stream; ``state`` is that stream's, empty at first.

        Raises only for what no row is to blame for."""
