"""Cron expressions: ``minute hour day month weekday``, in the zone that is given.

As Vixie's cron has them: ``*``, lists, ranges, steps, names; if both day and weekday are restricted, either is enough;
0 and 7 are Sunday. ``@hourly``, ``@daily``, ``@weekly``, ``@monthly`` and ``@yearly`` too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_LONGEST = timedelta(days=8 * 366)
"""29 February comes within 8 years."""


@dataclass(frozen=True, slots=True)
class Cron:
    """When something is due; ``either`` says that a day or a weekday that fits is enough."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    def after(self, moment: datetime, zone: tzinfo = UTC) -> datetime:
        """The first time after ``moment``, in UTC. A local time that a clock change skips is left out; of one that
        comes twice the first counts."""
        local = moment.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0) + timedelta(minutes=1)
        end = local + _LONGEST
        while local < end:
            if local.month not in self.months or not self._day_fits(local):
                local = local.replace(hour=0, minute=0) + timedelta(days=1)
            elif local.hour not in self.hours:
                local = local.replace(minute=0) + timedelta(hours=1)
            elif local.minute not in self.minutes:
                local += timedelta(minutes=1)
            else:
                found = local.replace(tzinfo=zone).astimezone(UTC)
                if found > moment and found.astimezone(zone).replace(tzinfo=None) == local:
                    return found
                local += timedelta(minutes=1)
        raise ValueError("no day fits")

    def _day_fits(self, moment: datetime) -> bool:
        by_day, by_weekday = moment.day in self.days, moment.isoweekday() % 7 in self.weekdays
        return by_day or by_weekday if self.either else by_day and by_weekday


def parse_cron(text: str) -> Cron:
    """Raises ``ValueError`` that says which field is wrong, and why; also for a day that never comes."""
    fields = _NAMED.get(text.strip().lower(), text).split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"a cron expression has five fields, such as */5 * * * *: {text!r} has {len(fields)}")
    minutes, hours, days, months, weekdays = (
        _field(field, *described) for field, described in zip(fields, _FIELDS, strict=True)
    )
    either = not fields[2].startswith("*") and not fields[4].startswith("*")
    cron = Cron(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either)
    cron.after(datetime(2024, 1, 1, tzinfo=UTC))
    return cron


def _field(text: str, name: str, least: int, most: int) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if slash and not (step.isdecimal() and int(step)):
            raise ValueError(f"{name}: a step is a number above 0, not {step!r}")
        first, dash, last = span.partition("-")
        if span == "*":
            start, end = least, most if name != "weekday" else 6
        else:
            start = _number(first, name, least, most)
            end = _number(last, name, least, most) if dash else most if slash else start
        if end < start:
            raise ValueError(f"{name}: {span} ends before it begins")
        found |= set(range(start, end + 1, int(step) if slash else 1))
    return frozenset(found)


def _number(text: str, name: str, least: int, most: int) -> int:
    names = {"month": _MONTHS, "weekday": _DAYS}.get(name, ())
    if text.lower() in names:
        return names.index(text.lower()) + (name == "month")
    if not text.isdecimal() or not least <= int(text) <= most:
        raise ValueError(f"{name}: {text!r} is not between {least} and {most}")
    return int(text)
