"""Lines cut at a delimiter: a column per field, and a reason for each line that has too few or too many."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.transforms.parsers import kernels
from ingest.transforms.refusals import Refusals

Cut = Callable[[str], list[str]]


class Uncuttable(ValueError):
    """A line whose quotes are not in order; the message is the reason."""


class Cutter:
    """Cuts at ``delimiter``, or at any run of blanks where it is None. A field that begins with ``"`` ends at
    the next ``"`` that is not doubled; only that, and its own line, bounds it.
    """

    def __init__(self, delimiter: str | None, *, quotes: bool = True) -> None:
        self._delimiter = delimiter
        self._quotes = quotes
        between = r"[ \t]+" if delimiter is None else re.escape(delimiter)
        self._field = re.compile(rf'"((?:[^"]|"")*)"(?!")(?={between}|\Z)|(?!")(.*?)(?={between}|\Z)', re.DOTALL)
        self._between = re.compile(between)

    def cut(self, lines: pa.StringArray) -> pa.ListArray:
        """The fields of each line: null where the line is null, or ``one`` refuses it."""
        if kernels.cut_lines is not None:
            return self._compiled(kernels.cut_lines, lines)
        if self._delimiter is None:
            lines = pc.ascii_trim(lines, " \t")
        quoted = pc.match_substring(lines, '"') if self._quotes else None
        if quoted is None or not quoted.true_count:
            return self._plain(lines)
        mask = pc.fill_null(quoted, False)
        plain = self._plain(pc.if_else(mask, pa.scalar(None, pa.string()), lines))
        slow = pa.array([self._fields(text) for text in lines.filter(mask).to_pylist()], pa.list_(pa.string()))
        order = np.arange(len(lines))
        order[np.asarray(mask)] = len(lines) + np.arange(len(slow))
        return pa.concat_arrays([plain.cast(slow.type), slow]).take(pa.array(order))

    def _compiled(self, kernel: kernels.Kernel, lines: pa.StringArray) -> pa.ListArray:
        mark = np.frombuffer((self._delimiter or "").encode(), np.uint8)
        counts, ends, content = kernel(*kernels.buffers_of(lines), mark, self._quotes)
        good = counts >= 0
        starts = np.zeros(len(lines) + 1, dtype=np.int32)
        np.cumsum(np.where(good, counts, 0), out=starts[1:])
        if lines.null_count:
            good &= np.asarray(lines.is_valid())
        mask = None if good.all() else pa.array(~good)
        return pa.ListArray.from_arrays(pa.array(starts), kernels.texts_of(ends, content), mask=mask)

    def one(self, line: str) -> list[str]:
        """One line's fields. Raises ``Uncuttable``."""
        if self._delimiter is None:
            line = line.strip(" \t")
        fields, at = [], 0
        while True:
            match = self._field.match(line, at) if self._quotes else None
            if match is None:
                if self._quotes:
                    raise Uncuttable(self._why(line, at))
                return line.split(self._delimiter)
            fields.append(match[2] if match[1] is None else match[1].replace('""', '"'))
            at = match.end()
            if at == len(line):
                return fields
            at = self._between.match(line, at).end()  # type: ignore[union-attr]  # the field ends before one

    def _why(self, line: str, at: int) -> str:
        closing = re.compile(r'"(?:[^"]|"")*"(?!")').match(line, at)
        if closing is None:
            return f"the quote at character {at} is not closed"
        wanted = "a blank" if self._delimiter is None else repr(self._delimiter)
        return f"expected {wanted} or the end of the line at character {closing.end()}, after a closing quote"

    def _plain(self, lines: pa.StringArray) -> pa.ListArray:
        if self._delimiter is None:
            return pc.split_pattern_regex(lines, r"[ \t]+")
        return pc.split_pattern(lines, self._delimiter)

    def _fields(self, line: str) -> list[str] | None:
        try:
            return self.one(line)
        except Uncuttable:
            return None


def columns_of(
    lines: pa.StringArray, cutter: Cutter, names: Sequence[str], refusals: Refusals, skip: np.ndarray | None = None
) -> pa.RecordBatch:
    """The fields as columns of text called ``names``; lines that do not have as many are refused, and null.

    Lines that ``skip`` marks are null and not refused.
    """
    lists = cutter.cut(lines)
    counts = np.asarray(pc.fill_null(pc.list_value_length(lists), -1))
    good = counts == len(names)
    wrong = ~good
    if skip is not None:
        good, wrong = good & ~skip, wrong & ~skip
    for row in np.flatnonzero(wrong).tolist():
        refusals.add([row], [_why(lines[row].as_py(), cutter, int(counts[row]), len(names))])
    starts = np.asarray(lists.offsets)[:-1]
    columns = [lists.values.take(pa.array(starts + number, mask=~good)) for number in range(len(names))]
    return pa.RecordBatch.from_arrays(columns, names=list(names))


def unique_names(names: Sequence[str]) -> list[str]:
    """Names of columns as a header gives them; one that is missing or stands twice gets a number."""
    found: list[str] = []
    for number, name in enumerate(names, 1):
        wanted, again = name or f"column_{number}", 2
        while wanted in found:
            wanted, again = f"{name or 'column'}_{again}", again + 1
        found.append(wanted)
    return found


def _why(line: str | None, cutter: Cutter, count: int, wanted: int) -> str:
    if count < 0:
        try:
            count = len(cutter.one(line or ""))
        except Uncuttable as error:
            return str(error)
    return f"{count} {'field' if count == 1 else 'fields'} where there are {wanted} columns"
