"""Where a source stands in a binlog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ingest.errors import ConnectorError

VERSION = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Everything before ``position`` of ``file`` is done. There a transaction begins: of it, all events that end up to
    ``after`` are done, too (0: none). ``gtid`` is the state of the log there: the last number of each domain."""

    file: str
    position: int
    after: int = 0
    gtid: str = ""

    @property
    def order(self) -> tuple[int, int]:
        """Grows as the log does: files are numbered."""
        return number_of(self.file), max(self.position, self.after)

    def as_json(self) -> dict[str, Any]:
        """A position, as the hub keeps it."""
        return {
            "version": VERSION,
            "file": self.file,
            "pos": self.position,
            "after": self.after,
            "gtid": self.gtid,
        }


def place_of(position: Mapping[str, Any]) -> Place:
    """From the hub; raises ``ConnectorError`` for what is none."""
    if position.get("version") != VERSION:
        raise ConnectorError("the position is not one of this source")
    return Place(str(position["file"]), int(position["pos"]), int(position["after"]), str(position["gtid"]))


def number_of(file: str) -> int:
    """``binlog.000012`` is 12."""
    digits = file.rpartition(".")[2]
    return int(digits) if digits.isdigit() else 0
