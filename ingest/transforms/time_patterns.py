"""Patterns of times, in the letters of ``strptime``, as regular expressions with a group per part."""

from __future__ import annotations

import re

from ingest.errors import ConfigError

_MONTH = "(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_REST_OF_MONTH = "(?i:uary|ruary|ch|il|e|y|ust|tember|ober|ember)?"
_DAY_NAME = "(?i:mon|tue|wed|thu|fri|sat|sun)(?i:day|sday|nesday|rsday|urday)?"
_ZONE = r"(?:Z|[+-]\d{2}:?\d{2}|[+-]\d{2})"

DIRECTIVES = {
    "Y": r"(?P<year>\d{4})",
    "y": r"(?P<short_year>\d{2})",
    "m": r"(?P<month>\d{1,2})",
    "b": f"(?P<month_name>{_MONTH})",
    "h": f"(?P<month_name>{_MONTH})",
    "B": f"(?P<month_name>{_MONTH}){_REST_OF_MONTH}",
    "d": r"(?P<day>\d{1,2})",
    "e": r" ?(?P<day>\d{1,2})",
    "j": r"(?P<day_of_year>\d{1,3})",
    "H": r"(?P<hour>\d{1,2})",
    "k": r" ?(?P<hour>\d{1,2})",
    "I": r"(?P<half_hour>\d{1,2})",
    "p": r"(?P<half>[AaPp][Mm])",
    "M": r"(?P<minute>\d{1,2})",
    "S": r"(?P<second>\d{1,2})",
    "f": r"(?P<fraction>\d{1,9})\d*",
    "z": f"(?P<zone>{_ZONE})",
    "Z": r"(?P<zone_name>[A-Za-z]{1,6})",
    "s": r"(?P<epoch>-?\d{1,12})",
    "a": _DAY_NAME,
    "A": _DAY_NAME,
    "n": r"\s",
    "t": r"\s",
    "%": "%",
}
_SHORT = {"T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y", "F": "%Y-%m-%d"}
_ISO = (
    r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"
    r"(?:[Tt ](?P<hour>\d{2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9})\d*)?)?)?"
    rf" ?(?P<zone>z|UTC|{_ZONE})?)?"
)
EPOCHS = {"epoch_s": 0, "epoch_ms": 3, "epoch_us": 6, "epoch_ns": 9}
"""Formats of plain numbers, and how many digits of theirs lie below the second."""


def regex_of(pattern: str | None, setting: str = "time_format") -> str:
    """The whole of a text, for RE2. None means ISO 8601. Raises ``ConfigError`` for a letter that is not known,
    for a part that stands twice, and for a pattern without a day."""
    body = _ISO if pattern is None else _translated(pattern, setting)
    names = re.findall(r"\(\?P<(\w+)>", body)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ConfigError(f"{setting}: {pattern!r} holds the {twice[0].replace('_', ' ')} twice", setting=setting)
    if not {"epoch", "day", "day_of_year"} & set(names):
        raise ConfigError(f"{setting}: {pattern!r} has no day", hint="add %d, %j or %s", setting=setting)
    if not {"epoch", "month", "month_name", "day_of_year"} & set(names):
        raise ConfigError(f"{setting}: {pattern!r} has no month", hint="add %m or %b", setting=setting)
    return rf"\A{body}\z"


def _translated(pattern: str, setting: str) -> str:
    for letter, meaning in _SHORT.items():
        pattern = pattern.replace(f"%{letter}", meaning)
    parts = []
    for literal, letter in re.findall(r"([^%]+)|%(.?)", pattern, re.DOTALL):
        if literal:
            parts.append(re.escape(literal))
        elif letter in DIRECTIVES:
            parts.append(DIRECTIVES[letter])
        else:
            known = " ".join(f"%{each}" for each in [*DIRECTIVES, *_SHORT])
            raise ConfigError(f"{setting}: there is no %{letter}", hint=f"known: {known}", setting=setting)
    return "".join(parts)
