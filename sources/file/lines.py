"""Bytes in, records out: the one place that knows what a line is.

Pure: no files, no clock. No Python step for each line; only lines that are bad cost one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ingest.sources.file.encoding import Encoding
from ingest.sources.file.fingerprint import Bytes
from ingest.sources.file.rules import Carry, Dead, Flush, Index, LineRules
from ingest.sources.file.whole_lines import WholeLines


@dataclass(frozen=True, slots=True)
class Cut:
    """What came of a piece of a file. ``consumed`` bytes need not be seen again; ``carry`` goes with them.

    ``positions`` are where the records' first bytes stand in the content.
    """

    value: pa.Array
    positions: Index = field(default_factory=lambda: np.empty(0, np.int64))
    dead: Sequence[Dead] = ()
    consumed: int = 0
    carry: Carry = ""


def cut(data: Bytes, at: int, encoding: Encoding, rules: LineRules, carry: Carry, flush: Flush) -> Cut:
    """Cuts ``data``, which stands at byte ``at`` of a content and begins where ``carry`` says."""
    begun = _finish_line(data, at, encoding, rules, carry, flush)
    rest = data[begun.consumed :]
    if begun.carry or not len(rest):
        return begun
    whole = _whole_lines(rest, at + begun.consumed, encoding, rules, flush)
    return Cut(whole.value, whole.positions, (*begun.dead, *whole.dead), begun.consumed + whole.consumed, whole.carry)


def _finish_line(data: Bytes, at: int, encoding: Encoding, rules: LineRules, carry: Carry, flush: Flush) -> Cut:
    """What ``data`` holds of a line that was begun before; its carry is "" once that line is over."""
    nothing = pa.array([], rules.value_type)
    if not carry or not len(data):
        return Cut(nothing, carry=carry)
    if carry == "line":
        skipped = _line_end_length(data, encoding, flush)
        return Cut(nothing, carry="line") if skipped is None else Cut(nothing, consumed=skipped)
    ends = encoding.newlines(data)
    stop = int(ends[0]) if len(ends) else len(data)
    stop -= stop % len(encoding.newline)
    consumed = stop + len(encoding.newline) if len(ends) else stop
    dead = [_piece(data[:stop], at, rules)] if stop else []
    return Cut(nothing, dead=dead, consumed=consumed, carry="" if len(ends) or flush is Flush.ALL else "dead")


def _line_end_length(data: Bytes, encoding: Encoding, flush: Flush) -> int | None:
    """The length of the line end that ``data`` begins with, if any; None: more bytes must tell."""
    feed = encoding.newline
    ends = ("\r".encode(encoding.name) + feed, feed)
    first = data[: len(ends[0])].tobytes()
    for end in ends:
        if first.startswith(end):
            return len(end)
    undecided = flush is not Flush.ALL and any(end.startswith(first) for end in ends)
    return None if undecided else 0


def _whole_lines(data: Bytes, at: int, encoding: Encoding, rules: LineRules, flush: Flush) -> Cut:
    stops = encoding.newlines(data) + len(encoding.newline)
    if len(stops) > rules.rows:
        stops, tail = stops[: rules.rows], _HELD
    else:
        tail = _tail(data, int(stops[-1]) if len(stops) else 0, encoding, rules, flush)
    if tail.carry:
        # What follows the last whole line goes on, so no record before it may wait.
        flush = max(flush, Flush.GROUPS)
    whole = int(stops[-1]) if len(stops) else 0
    dead = [_piece(tail.dead, at + whole, rules)] if len(tail.dead) else []
    if tail.length:
        stops = np.append(stops, whole + tail.length)
    if not len(stops):
        return Cut(pa.array([], rules.value_type), dead=dead, consumed=len(tail.dead), carry=tail.carry)
    lines = WholeLines(data[: stops[-1]], stops, bool(tail.length), encoding, rules)
    made = lines.records(flush)
    refused = [letter.moved(at) for letter in made.dead]
    return Cut(made.value, made.positions + at, [*refused, *dead], made.consumed + len(tail.dead), tail.carry)


@dataclass(frozen=True, slots=True)
class _Tail:
    """What follows the last line end: ``length`` bytes of it are a record, or ``dead`` is a dead letter."""

    length: int = 0
    dead: Bytes = field(default_factory=lambda: np.empty(0, np.uint8))
    carry: Carry = ""


_HELD = _Tail()


def _tail(data: Bytes, whole: int, encoding: Encoding, rules: LineRules, flush: Flush) -> _Tail:
    left = len(data) - whole
    if left and flush is Flush.ALL:
        return _Tail(left, carry="line")
    if left <= rules.max_line:
        return _HELD
    if rules.split:
        pieces = data[whole : whole + left // rules.max_line * rules.max_line]
        return _Tail(encoding.whole_characters(pieces), carry="line")
    if left >= rules.whole_bytes:
        return _Tail(dead=data[whole : whole + left - left % len(encoding.newline)], carry="dead")
    return _HELD


def _piece(data: Bytes, at: int, rules: LineRules) -> Dead:
    reason = f"a piece of a line that is {rules.long_reason}"
    return Dead(pa.array([data.tobytes()], pa.binary()), np.array([at], np.int64), reason, "LineTooLong")
