"""From the bytes of a file to UTF-8, whole blocks at a time.

A block is a run of whole lines, so no character stands across its ends. Lines that are not in the
encoding are told apart without looking at the good ones in Python.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ingest.sources.file.fingerprint import Bytes
from ingest.sources.file.line_ends import find_byte

# Longer marks first: UTF-32's little-endian mark begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
MARK_BYTES = 4
_WINDOW_BYTES = 64 * 1024

# Without a mark, Python's "utf-16" means the machine's own order; files cross machines.
_WITHOUT_MARK = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}


def begin(encoding: str, first: bytes) -> tuple[str, int]:
    """The encoding in force and the length of the byte order mark, from a file's first bytes.

    A mark wins over ``encoding`` where that is a Unicode encoding; in any other a mark is just bytes.
    """
    name = codecs.lookup(encoding).name
    if name.startswith("utf"):
        for mark, found in _MARKS:
            if first.startswith(mark):
                return found, len(mark)
    return _WITHOUT_MARK.get(name, name), 0


@dataclass(frozen=True)
class Encoding:
    """An encoding without byte order mark, as ``begin`` names it."""

    name: str

    @cached_property
    def is_utf8(self) -> bool:
        return codecs.lookup(self.name).name in ("utf-8", "ascii")

    @cached_property
    def newline(self) -> bytes:
        """The bytes of a line feed."""
        return "\n".encode(self.name)

    def newlines(self, data: Bytes) -> NDArray[np.int64]:
        """Where line feeds begin in ``data``; ``data`` begins at a character."""
        unit = len(self.newline)
        if unit == 1:
            return find_byte(data, self.newline[0])
        order = ">" if self.newline[0] == 0 else "<"
        units = data[: len(data) // unit * unit].view(np.dtype(f"{order}u{unit}"))
        return np.flatnonzero(units == ord("\n")) * unit

    def transcode(self, data: Bytes, starts: NDArray[np.int64]) -> tuple[bytes, list[int]]:
        """``data`` in UTF-8, and which of its lines (they begin at ``starts``) are not in this encoding.

        Those have U+FFFD in place of what is bad. The number of lines stays the same.
        """
        raw = data.tobytes()
        try:
            return raw.decode(self.name).encode(), []
        except UnicodeError:
            pass
        found = list(_decoded_lines(raw, starts, self.name))
        return "".join(text for _, text in found).encode("utf-8", "replace"), [line for line, _ in found if line >= 0]

    def whole_characters(self, data: Bytes) -> int:
        """How many bytes of ``data`` end at a character (a cut-off character has at most 7 bytes)."""
        raw = data.tobytes()
        decoder = codecs.getincrementaldecoder(self.name)("replace")
        decoder.decode(raw)
        pending = len(decoder.getstate()[0])
        return len(raw) - pending if pending < len(raw) else len(raw)


def bad_lines(data: Bytes, starts: NDArray[np.int64], encoding: str) -> list[int]:
    """The indices of the lines in ``data`` (they begin at ``starts``) that are not in ``encoding``."""
    return [line for line, _ in _decoded_lines(data.tobytes(), starts, encoding) if line >= 0]


def _decoded_lines(raw: bytes, starts: NDArray[np.int64], encoding: str) -> Iterator[tuple[int, str]]:
    """The text of ``raw`` in order: (-1, a run of good lines) and (index, a bad line repaired).

    One Python step for each bad line, and for each window: a decoding error copies all it was given.
    """
    bounds = np.append(starts, len(raw))
    line = 0
    while line < len(starts):
        begin = int(bounds[line])
        beyond = max(int(np.searchsorted(bounds, begin + _WINDOW_BYTES, side="right")) - 1, line + 1)
        try:
            yield -1, raw[begin : bounds[beyond]].decode(encoding)
            line = beyond
        except UnicodeDecodeError as error:
            bad = int(np.searchsorted(bounds, begin + error.start, side="right")) - 1
            if bad > line:
                yield -1, raw[begin : bounds[bad]].decode(encoding)
            yield bad, _repaired(raw[bounds[bad] : bounds[bad + 1]], encoding)
            line = bad + 1


def _repaired(line: bytes, encoding: str) -> str:
    newline = "\n".encode(encoding)
    body = line.removesuffix(newline)
    end = "\n" if len(body) < len(line) else ""
    return body.decode(encoding, "replace").replace("\n", "\ufffd") + end
