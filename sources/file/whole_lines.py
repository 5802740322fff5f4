"""A run of whole lines, made into records without a Python step for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.sources.file.byte_arrays import (
    MOVES_BACK,
    at_characters,
    contiguous,
    is_utf8,
    laid_out,
    starts_of,
    without_end,
)
from ingest.sources.file.encoding import Encoding, bad_lines
from ingest.sources.file.fingerprint import Bytes
from ingest.sources.file.line_ends import ended_lines
from ingest.sources.file.rules import Dead, Flush, Index, LineRules

_FIRST_NON_ASCII = 0x80


@dataclass(frozen=True, slots=True)
class Made:
    """Records, where they begin in the data, what is refused, and how many bytes all that took."""

    value: pa.Array
    positions: Index = field(default_factory=lambda: np.empty(0, np.int64))
    dead: Sequence[Dead] = ()
    consumed: int = 0


class WholeLines:
    """Lines that lie in ``data`` one after the other, up to ``stops``; only the last may lack its end."""

    def __init__(self, data: Bytes, stops: Index, unended: bool, encoding: Encoding, rules: LineRules) -> None:
        self.raw = data
        self.rules = rules
        self.encoding = encoding
        self.unended = unended
        self.raw_stops = stops
        self.bad: list[int] = []
        self.text, self.stops = self._text()

    def _text(self) -> tuple[pa.Buffer, Index]:
        """The lines as they go on: UTF-8, or untouched where nothing is to be decoded."""
        if self.rules.undecodable == "bytes":
            return pa.py_buffer(self.raw), self.raw_stops
        starts = starts_of(self.raw_stops)
        if self.encoding.is_utf8:
            if is_utf8(self.raw):
                return pa.py_buffer(self.raw), self.raw_stops
            self.bad = bad_lines(self.raw, starts, "utf-8")
            if self.rules.undecodable == "dead-letter":
                return pa.py_buffer(self.raw), self.raw_stops
        text, self.bad = self.encoding.transcode(self.raw, starts)
        view = np.frombuffer(text, np.uint8)
        stops = np.flatnonzero(view == ord("\n")) + 1
        if len(stops) < len(self.raw_stops):
            stops = np.append(stops, len(view))
        return pa.py_buffer(text), stops

    def records(self, flush: Flush) -> Made:
        """All records but, with ``Flush.HOLD``, a last one that further lines may join."""
        first, ends = self._grouped(flush)
        if not len(first):
            return Made(pa.array([], self.rules.value_type))
        positions = starts_of(self.raw_stops)[first]
        stops = self.stops[ends]
        longest = int((stops - starts_of(self.stops)[first]).max())
        value = self._value(stops, bool(self.unended and ends[-1] == len(self.raw_stops) - 1))
        dead, dropped = self._refused(first, ends, value, longest)
        if len(dropped):
            keep = np.ones(len(first), bool)
            keep[dropped] = False
            value, positions = value.filter(pa.array(keep)), positions[keep]
        value, positions = self._split(value.view(self.rules.value_type), positions, longest)
        return Made(value, positions, dead, int(self.raw_stops[ends[-1]]))

    def _grouped(self, flush: Flush) -> tuple[Index, Index]:
        """First and last line of each record."""
        count = len(self.raw_stops)
        grouping = self.rules.grouping
        if grouping is None:
            every = np.arange(count)
            return every, every
        first = grouping.first_lines(laid_out(self.text, self.stops), self.stops, self.rules.max_line)
        ends = np.append(first[1:] - 1, count - 1)
        if flush is Flush.HOLD and not grouping.is_full(int(first[-1]), count):
            return first[:-1], ends[:-1]
        return first, ends

    def _value(self, stops: Index, unended: bool) -> pa.Array:
        """One binary value for each record, its line end removed."""
        feed = self.encoding.newline if self.rules.undecodable == "bytes" else b"\n"
        if feed == b"\n":
            return ended_lines(self.text, stops)
        value = laid_out(self.text, stops)
        if unended:
            ended = pa.array([value[-1].as_py()], pa.binary())
            return pa.concat_arrays([self._chomp(value[:-1]), ended]) if len(value) > 1 else ended
        return self._chomp(value)

    def _chomp(self, value: pa.Array) -> pa.Array:
        """Of characters of several bytes."""
        return without_end(without_end(value, self.encoding.newline), "\r".encode(self.encoding.name))

    def _refused(self, first: Index, ends: Index, value: pa.Array, longest: int) -> tuple[list[Dead], Index]:
        """Dead letters for records that are too long or not decodable, and the indices of those."""
        refused: list[Dead] = []
        dropped = np.empty(0, np.int64)
        if not self.rules.split and longest > self.rules.max_line:
            dropped = np.flatnonzero(pc.binary_length(value).to_numpy() > self.rules.max_line)
            if len(dropped):
                reason = f"the line is {self.rules.long_reason}"
                refused.append(self._dead(first[dropped], ends[dropped], reason, "LineTooLong"))
        if self.bad and self.rules.undecodable == "dead-letter":
            wrong = np.unique(np.searchsorted(first, np.asarray(self.bad), side="right") - 1)
            wrong = np.setdiff1d(wrong[wrong < len(first)], dropped)
            if len(wrong):
                reason = f"the line is not valid {self.encoding.name}"
                refused.append(self._dead(first[wrong], ends[wrong], reason, "Undecodable"))
                dropped = np.concatenate((dropped, wrong))
        return refused, dropped

    def _dead(self, first: Index, ends: Index, reason: str, error: str) -> Dead:
        """The raw bytes of some records; a Python step for each, they are few or large."""
        starts = starts_of(self.raw_stops)[first]
        feed = self.encoding.newline
        carriage = "\r".encode(self.encoding.name)
        values = [
            self.raw[start:stop].tobytes().removesuffix(feed).removesuffix(carriage)
            for start, stop in zip(starts.tolist(), self.raw_stops[ends].tolist(), strict=True)
        ]
        return Dead(pa.array(values, pa.binary()), starts, reason, error)

    def _split(self, value: pa.Array, starts: Index, longest: int) -> tuple[pa.Array, Index]:
        """Records longer than the limit become several; UTF-8 characters stay whole."""
        if not self.rules.split or longest <= self.rules.max_line or not len(value):
            return value, starts
        lengths = pc.binary_length(value).to_numpy().astype(np.int64)
        if lengths.max() <= self.rules.max_line:
            return value, starts
        data, offsets = contiguous(value)
        is_ascii = pa.types.is_binary(value.type) or int(data.max()) < _FIRST_NON_ASCII
        # Where begins may have to move back to a character, the pieces are cut that much shorter.
        stride = self.rules.max_line if is_ascii else max(self.rules.max_line - MOVES_BACK, 1)
        pieces = np.maximum(-(-lengths // stride), 1)
        owner = np.repeat(np.arange(len(value)), pieces)
        number = np.arange(len(owner)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        begins = offsets[owner] + number * stride
        if not is_ascii:
            begins = at_characters(data, begins, number > 0)
        inside = begins - offsets[owner] if self.text.size == len(self.raw) else 0
        made = laid_out(pa.py_buffer(data), np.append(begins[1:], offsets[-1]), first=int(begins[0]))
        return made.view(value.type), starts[owner] + inside
