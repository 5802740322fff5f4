"""Rows as a table for people: under the columns' own names, as wide as the terminal at most.

Into a pipe or a file every value goes whole. On a terminal long values are cut, and where that is not enough,
each row stands on lines of its own, a column a line.
"""

from __future__ import annotations

import itertools
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_BLOCK_ROWS = 500
"""Held in memory at once; the widths of the first block serve the others."""
_NARROWEST = 10
_GAP = "  "
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """The named columns of all rows, as they come."""
    texts = ([_cell(row.get(column)) for column in columns] for row in rows)
    heads = [_shown(column) for column in columns]
    first = list(itertools.islice(texts, _BLOCK_ROWS))
    widths = [max(map(_width, cells)) for cells in zip(heads, *first, strict=True)]
    limit = _terminal_width()
    if limit is not None and len(columns) > 1 and not _fit(widths, heads, limit):
        _print_upright(heads, itertools.chain(first, texts))
        return
    for cells in itertools.chain([heads], first, texts):
        line = _GAP.join(_padded(cell, width, limit) for cell, width in zip(cells, widths, strict=True))
        sys.stdout.write(line.rstrip() + "\n")


def _print_upright(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    width = max(map(_width, heads))
    for number, row in enumerate(rows):
        sys.stdout.write("\n" if number else "")
        for head, cell in zip(heads, row, strict=True):
            sys.stdout.write(f"{_padded(head, width, None)}{_GAP}{cell}\n")


def _fit(widths: list[int], heads: Sequence[str], limit: int) -> bool:
    """Narrows the widest columns until all fit; False if they cannot."""
    least = [min(width, max(_NARROWEST, _width(head))) for width, head in zip(widths, heads, strict=True)]
    over = sum(widths) + len(_GAP) * (len(widths) - 1) - limit
    if over > sum(widths) - sum(least):
        return False
    while over > 0:
        widest = max((index for index in range(len(widths)) if widths[index] > least[index]), key=widths.__getitem__)
        widths[widest] -= 1
        over -= 1
    return True


def _padded(text: str, width: int, limit: int | None) -> str:
    size = _width(text)
    if limit is not None and size > width:
        return text[: max(0, width - 1)] + "…"
    return text + " " * (width - size)


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(_letter_width(letter) for letter in text)


def _letter_width(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _terminal_width() -> int | None:
    """None where nobody looks at a terminal."""
    if not sys.stdout.isatty():
        return None
    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size(sys.stdout.fileno()).columns) or None
    except (OSError, ValueError):
        return None


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}"
    return _shown(str(value))


def _shown(text: str) -> str:
    """Without what would move a terminal's cursor: records may hold anything."""
    return _CONTROL.sub(lambda match: " " if match[0] in "\n\t" else f"\\x{ord(match[0]):02x}", text)
