"""``syslog``: RFC 5424, and RFC 3164 as files and networks have it, told apart line by line."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.clock import SystemClock
from ingest.connectors import TIMESTAMP, Records, State, Transformed
from ingest.transforms.parsers.parser import Parser, parsed
from ingest.transforms.refusals import Refusals
from ingest.transforms.times import TimeReader

_TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        pa.field("facility", pa.int32()),
        pa.field("severity", pa.int32()),
        pa.field("time", _TIME),
        pa.field("host", pa.string()),
        pa.field("app", pa.string()),
        pa.field("pid", pa.string()),
        pa.field("msgid", pa.string()),
        pa.field("structured_data", pa.string()),
        pa.field("message", pa.string()),
    ]
)
_NEW = r"^<\d{1,3}>1 "
_ELEMENT = r'\[[^\] "=]+(?: [^\] "=]+="(?:[^"\\\]]|\\.)*")*\]'
_RFC_5424 = (
    r"(?s)\A<(?P<pri>\d{1,3})>1 (?P<time>\S+) (?P<host>\S+) (?P<app>\S+) (?P<pid>\S+) (?P<msgid>\S+) "
    rf"(?P<structured_data>-|(?:{_ELEMENT})+)(?: \x{{FEFF}}?(?P<message>.*))?\z"
)
_RFC_3164 = (
    r"(?s)\A(?:<(?P<pri>\d{1,3})>)?"
    r"(?P<time>[A-Za-z]{3} [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[T ]\S+) (?P<host>\S+) "
    r"(?:(?P<app>[^\s:\[\]]+)(?:\[(?P<pid>[^\]\s]*)\])?: ?)?(?P<message>.*)\z"
)
_HIGHEST_PRIORITY = 191


class Syslog(Parser):
    """``-`` of RFC 5424 is null. A time without a year gets the latest one that does not put it after the
    file's own time (or the record's timestamp, or now, where there is none); ``year`` fixes it."""

    def __init__(self, timezone: str | None = None, year: int | None = None) -> None:
        self._iso = TimeReader(None, timezone)
        self._old = TimeReader("%b %e %H:%M:%S", timezone, year)
        self._old_with_year = TimeReader("%b %e %Y %H:%M:%S", timezone)
        self._now_ms = SystemClock().now_ms

    def parse(self, records: Records, lines: pa.StringArray, state: State) -> Transformed:
        new = np.asarray(pc.fill_null(pc.match_substring_regex(lines, _NEW), False))
        refusals = Refusals()
        whole: dict[str, pa.Array] = {}
        for mask, regex, name in ((new, _RFC_5424, "RFC 5424"), (~new, _RFC_3164, "RFC 3164")):
            if not mask.any():
                continue
            groups = pc.extract_regex(lines if mask.all() else pc.if_else(pa.array(mask), lines, None), regex)
            missed = np.flatnonzero(mask & np.asarray(groups.is_null()))
            refusals.add(missed, [f"syslog: not a line of {name}"] * len(missed))
            part = _texts(groups)
            whole = part if not whole else {key: pc.coalesce(whole[key], part[key]) for key in part}
        columns = self._columns(records, whole, refusals)
        return parsed(records, columns, refusals, timestamp=columns["time"])

    def _columns(self, records: Records, texts: dict[str, pa.Array], refusals: Refusals) -> pa.RecordBatch:
        priority = texts["pri"].cast(pa.int32())
        high = np.flatnonzero(np.asarray(pc.fill_null(pc.greater(priority, _HIGHEST_PRIORITY), False)))
        refusals.add(high, [f"syslog: the priority is above {_HIGHEST_PRIORITY}"] * len(high))
        time = self._time(texts["time"], _around_ms(records, self._now_ms))
        lost = np.flatnonzero(np.asarray(pc.and_(texts["time"].is_valid(), time.is_null())))
        refusals.add(lost, [f"syslog: no such time: {text}" for text in texts["time"].take(pa.array(lost)).to_pylist()])
        found = {**texts, "time": time, "facility": pc.divide(priority, 8)}
        found["severity"] = pc.subtract(priority, pc.multiply(found["facility"], 8))
        return pa.RecordBatch.from_arrays([found[name] for name in SCHEMA.names], schema=SCHEMA)

    def _time(self, texts: pa.Array, around_ms: int) -> pa.Array:
        iso = pc.match_substring_regex(texts, r"^\d")
        if not pc.any(iso).as_py():
            return self._by_month(texts, around_ms)
        found = self._iso.read(pc.if_else(iso, texts, None))
        if pc.all(iso).as_py():
            return found
        return pc.coalesce(found, self._by_month(pc.if_else(iso, None, texts), around_ms))

    def _by_month(self, texts: pa.Array, around_ms: int) -> pa.Array:
        found = self._old.read(texts, around_ms)
        if found.null_count > texts.null_count:
            found = pc.coalesce(found, self._old_with_year.read(texts))
        return found


def _texts(groups: pa.StructArray) -> dict[str, pa.Array]:
    """The parts of lines, null where they are absent, empty or ``-``; but a message may be either."""
    none = pa.scalar(None, pa.string())
    found = {name: pa.nulls(len(groups), pa.string()) for name in ("msgid", "structured_data")}
    for field, column in zip(groups.type, groups.flatten(), strict=True):
        nothing = pc.is_in(column, pa.array(["", "-"]))
        found[field.name] = column if field.name == "message" else pc.if_else(nothing, none, column)
    return found


def _around_ms(records: Records, now_ms: Callable[[], int]) -> int:
    if records.origin.modified_ms is not None:
        return records.origin.modified_ms
    if records.timestamp is not None and records.timestamp.null_count < len(records):
        highest: int = pc.max(records.timestamp.cast(TIMESTAMP, safe=False).cast(pa.int64())).as_py()
        return highest
    return now_ms()
