"""Texts and numbers as instants: whole columns at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.errors import ConfigError
from ingest.transforms.time_patterns import EPOCHS, regex_of
from ingest.transforms.zones import check_timezone, to_utc

_UTC = pa.timestamp("us", tz="UTC")
_DAY_MS = 86_400_000
_MONTHS = pa.array(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])
_NUMBER = r"\A(?P<sign>[+-]?)0*(?P<whole>\d{1,18}|[1-8]\d{18})(?:\.(?P<fraction>\d*))?\z"
_MOST_SECONDS = 253_402_300_800  # the year 10000
_LEAST_SECONDS = -62_135_596_800  # the year 1


class TimeReader:
    """Reads one way of writing times. ``time_format`` is None for ISO 8601, one of ``EPOCHS``, or a pattern
    of ``strptime`` letters; ``timezone`` is for times that have none of their own.

    Results are microseconds UTC: digits below are cut off. A second of 60 is the next minute's first.
    """

    def __init__(self, time_format: str | None = None, timezone: str | None = None, year: int | None = None) -> None:
        """Raises ``ConfigError``."""
        self._timezone = check_timezone(timezone or "UTC")
        self._zone_was_set = timezone is not None
        self._year = year
        self._iso = time_format is None
        self._epoch_digits = EPOCHS.get(time_format or "")
        self._regex = "" if time_format in EPOCHS else regex_of(time_format)

    def read(self, column: pa.Array, around_ms: int | None = None) -> pa.Array:
        """Instants; null where ``column`` is null or holds no such time.

        ``around_ms`` is about when a text without a year was written last: it gets the latest year that
        does not put it more than a day after that. Raises ``ConfigError`` for a column of another kind.
        """
        kind = column.type
        if pa.types.is_timestamp(kind):
            return column.cast(_UTC, safe=False) if kind.tz else to_utc(column.cast(pa.timestamp("us")), self._timezone)
        if pa.types.is_date(kind):
            return to_utc(column.cast(pa.timestamp("us")), self._timezone)
        if self._epoch_digits is not None:
            return _from_numbers(column, self._epoch_digits)
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
            hint = "say what the numbers count: epoch_s, epoch_ms, epoch_us or epoch_ns"
            raise ConfigError(f"a column of {kind} is no time", hint=hint, setting="time_format")
        return self._from_text(column.cast(pa.string()), around_ms)

    def _from_text(self, texts: pa.Array, around_ms: int | None) -> pa.Array:
        if self._iso:
            for zoned in (True, False):
                try:
                    found = texts.cast(_UTC if zoned else pa.timestamp("us"))
                except pa.ArrowInvalid:
                    continue  # some have no zone, some have one, or more digits than Arrow takes
                return found if zoned else to_utc(found, self._timezone)
        distinct = texts.dictionary_encode()  # neighbours mostly share their second
        return self._from_distinct(distinct.dictionary, around_ms).take(distinct.indices)

    def _from_distinct(self, texts: pa.Array, around_ms: int | None) -> pa.Array:
        parts = _Parts(pc.extract_regex(texts, self._regex))
        around_ms = around_ms if self._year is None else None
        days, good = _days(parts, self._year, around_ms)
        seconds, time_good = _seconds_of_day(parts)
        total = days * 86_400 + seconds
        if parts.has("epoch"):
            total = parts.number("epoch")
        micros = total * 1_000_000 + parts.micros()
        good &= parts.matched & time_good & (total >= _LEAST_SECONDS) & (total < _MOST_SECONDS)
        return self._zoned(np.where(good, micros, 0), good, parts)

    def _zoned(self, micros: np.ndarray, good: np.ndarray, parts: _Parts) -> pa.Array:
        offset_s, has_zone, zone_good = parts.zone(self._zone_was_set)
        good = good & zone_good
        instants = pa.array(micros - offset_s * 1_000_000).cast(_UTC)
        if not has_zone.all():
            local = to_utc(pa.array(micros).cast(pa.timestamp("us")), self._timezone)
            instants = pc.if_else(pa.array(has_zone), instants, local)
        return instants if good.all() else pc.if_else(pa.array(good), instants, pa.scalar(None, _UTC))


class _Parts:
    """The groups of a pattern as numbers; where a group took no part it counts as 0."""

    def __init__(self, groups: pa.StructArray) -> None:
        self.matched: np.ndarray = np.asarray(groups.is_valid())
        self._texts = {field.name: groups.field(index) for index, field in enumerate(groups.type)}
        self._count = len(groups)

    def has(self, name: str) -> bool:
        return name in self._texts

    def text(self, name: str) -> pa.Array:
        return self._texts[name] if self.has(name) else pa.repeat("", self._count)

    def number(self, name: str, absent: int = 0) -> np.ndarray:
        if not self.has(name):
            return np.full(self._count, absent, dtype=np.int64)
        text = pc.if_else(pc.equal(self._texts[name], ""), str(absent), self._texts[name])
        return np.asarray(pc.fill_null(text, "0").cast(pa.int64()))

    def micros(self) -> np.ndarray:
        if not self.has("fraction"):
            return np.zeros(self._count, dtype=np.int64)
        text = pc.utf8_slice_codeunits(pc.utf8_rpad(self._texts["fraction"], 6, "0"), 0, 6)
        return np.asarray(pc.fill_null(text, "0").cast(pa.int64()))

    def zone(self, other_names: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Seconds east of UTC, whether there is a zone at all, and whether it can be understood: the names of
        zones are not unique, so that all but UTC and GMT need the ``timezone`` setting, which then counts."""
        zone = self.text("zone")
        letters = pc.utf8_upper(pc.if_else(pc.equal(zone, ""), self.text("zone_name"), zone))
        letters = pc.fill_null(letters, "")
        utc = np.asarray(pc.is_in(letters, pa.array(["Z", "UTC", "GMT"])))
        number = np.asarray(pc.match_substring_regex(letters, r"^[+-]"))
        digits = pc.replace_substring(pc.if_else(pa.array(number), letters, "+0000"), ":", "")
        digits = pc.utf8_rpad(digits, 5, "0")
        hours = np.asarray(pc.utf8_slice_codeunits(digits, 1, 3).cast(pa.int64()))
        minutes = np.asarray(pc.utf8_slice_codeunits(digits, 3, 5).cast(pa.int64()))
        sign = np.where(np.asarray(pc.starts_with(digits, "-")), -1, 1)
        empty = np.asarray(pc.equal(letters, ""))
        understood = (utc | number | empty | other_names) & (hours < 24) & (minutes < 60)
        return sign * (hours * 3600 + minutes * 60), utc | number | self._epoch(), understood

    def _epoch(self) -> Any:
        return np.full(self._count, self.has("epoch"))


def _days(parts: _Parts, year: int | None, around_ms: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Days since 1970, and whether there is such a day."""
    month = parts.number("month", 1)
    if parts.has("month_name"):
        names = pc.utf8_lower(parts.text("month_name"))
        month = np.asarray(pc.fill_null(pc.index_in(names, _MONTHS), -1)).astype(np.int64) + 1
    day = parts.number("day_of_year" if parts.has("day_of_year") else "day", 1)
    if parts.has("year"):
        years = parts.number("year")
    elif parts.has("short_year"):
        short = parts.number("short_year")
        years = short + np.where(short < 69, 2000, 1900)
    elif around_ms is not None:
        years = _years(month, day, parts, around_ms)
    else:
        years = np.full(len(day), year if year is not None else 1970, dtype=np.int64)
    return _calendar(years, month, day, of_year=parts.has("day_of_year"))


def _years(month: np.ndarray, day: np.ndarray, parts: _Parts, around_ms: int) -> np.ndarray:
    """The latest year that puts the time at most a day behind ``around_ms``, and has that day at all."""
    last = int(np.datetime64(around_ms + _DAY_MS, "ms").astype("M8[Y]").astype(int)) + 1970
    seconds, _ = _seconds_of_day(parts)
    chosen = np.full(len(day), last, dtype=np.int64)
    for year in range(last, last - 9, -1):  # at most 8 years lie between two 29ths of February
        days, good = _calendar(chosen, month, day, of_year=False)
        wrong = ~good | ((days * 86_400 + seconds) * 1000 > around_ms + _DAY_MS)
        if not wrong.any():
            break
        chosen[wrong] = year - 1
    return chosen


def _calendar(years: np.ndarray, month: np.ndarray, day: np.ndarray, *, of_year: bool) -> tuple[np.ndarray, np.ndarray]:
    months = (years - 1970) * 12 + (0 if of_year else np.clip(month, 1, 12) - 1)
    first = months.astype("M8[M]").astype("M8[D]").astype(np.int64)
    after = (months + (12 if of_year else 1)).astype("M8[M]").astype("M8[D]").astype(np.int64)
    good = (day >= 1) & (day <= after - first) & (month >= 1) & (month <= 12) & (years >= 1)
    return first + day - 1, good


def _seconds_of_day(parts: _Parts) -> tuple[np.ndarray, np.ndarray]:
    hour, minute, second = parts.number("hour"), parts.number("minute"), parts.number("second")
    good = (hour < 24) & (minute < 60) & (second <= 60)
    if parts.has("half_hour"):
        hour = parts.number("half_hour", 12)
        good &= (hour >= 1) & (hour <= 12)
        hour = hour % 12 + 12 * np.asarray(pc.fill_null(pc.equal(pc.utf8_lower(parts.text("half")), "pm"), False))
    return hour * 3600 + minute * 60 + second, good


def _from_numbers(column: pa.Array, digits: int) -> pa.Array:
    """Numbers, or texts of numbers, that count from 1970 in units of ``10 ** -digits`` seconds."""
    if pa.types.is_floating(column.type):
        scaled = np.asarray(pc.fill_null(column, 0.0), dtype=np.float64) * 10.0 ** (6 - digits)
        good = np.isfinite(scaled) & (np.abs(scaled) < 2.0**62) & np.asarray(column.is_valid())
        return _micros(np.where(good, scaled, 0).round().astype(np.int64), good)
    texts = column.cast(pa.string())
    parts = _Parts(pc.extract_regex(texts, _NUMBER))
    padded = pc.utf8_rpad(parts.text("fraction"), 6, "0")
    fraction = np.asarray(pc.fill_null(pc.utf8_slice_codeunits(padded, 0, 6), "0").cast(pa.int64()))
    whole = parts.number("whole")
    if digits <= 6:
        scale = 10 ** (6 - digits)
        micros = whole * scale + fraction // 10**digits
        fits = whole < 2**62 // scale
    else:
        micros, fits = whole // 10 ** (digits - 6), np.ones(len(whole), dtype=bool)
    negative = np.asarray(pc.fill_null(pc.equal(parts.text("sign"), "-"), False))
    return _micros(np.where(negative, -micros, micros), parts.matched & fits)


def _micros(micros: np.ndarray, good: np.ndarray) -> pa.Array:
    good = good & (micros >= _LEAST_SECONDS * 1_000_000) & (micros < _MOST_SECONDS * 1_000_000)
    return pa.array(np.where(good, micros, 0), mask=~good).cast(_UTC)
