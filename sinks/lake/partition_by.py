"""What ``partition_by`` says: columns, and times cut to a year, month, day or hour.

status                 status=200
day(timestamp)         day=2026-01-31          UTC for times with a zone, as written for those without
month(created) as m    m=2026-01
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_CUTS = ("year", "month", "day", "hour")
_CUT = re.compile(rf"({'|'.join(_CUTS)})\s*\(")
_FORM = re.compile(r"^\s*(?:(?P<cut>[A-Za-z_]+)\s*\((?P<inner>.+)\)|(?P<plain>.+?))(?:\s+as\s+(?P<key>\S+))?\s*$")


@dataclass(frozen=True, slots=True)
class PartitionField:
    """The folder key ``key``, made from ``column`` as it is (``cut`` None) or cut to a unit of time."""

    column: str
    cut: str | None
    key: str

    @property
    def stands_for_column(self) -> bool:
        """Whether the folder tells all that the column does, so that files leave the column out."""
        return self.cut is None and self.key == self.column


def parse(text: str) -> PartitionField:
    """Raises ``ValueError`` with what is wrong."""
    match = _FORM.match(text)
    if match is None or "\x00" in text:
        raise ValueError(f"{text!r} is neither a column nor year|month|day|hour(column)")
    cut, plain = match["cut"], match["plain"]
    column = (match["inner"] if cut else plain).strip()
    if cut and cut.lower() not in _CUTS:
        raise ValueError(f"{cut} is not known in partition_by; there are {', '.join(_CUTS)}")
    if not column or (not cut and _CUT.match(column)):
        raise ValueError(f"{text!r} is not complete; write for example day(timestamp)")
    cut = cut.lower() if cut else None
    return PartitionField(column, cut, match["key"] or cut or column)


def parse_all(texts: Sequence[str]) -> tuple[PartitionField, ...]:
    """Raises ``ValueError``, for two folders of one key, too."""
    fields = tuple(parse(text) for text in texts)
    keys = [field.key for field in fields]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise ValueError(f"two folders would be named {twice.pop()}=; name one of them: day(column) as other")
    return fields
