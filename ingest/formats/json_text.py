"""Strict JSON (RFC 8259) as Python values that keep what a column needs to know about a number.

Whole numbers are ``int``; everything else with a fraction, an exponent or a minus before zero is a
``Decimal`` literal as text (``Fraction``), so that a decimal column takes it exactly. Python's own parser does
the work, closed where it is lenient: duplicate names, lone surrogates, ``NaN``, endless nesting.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

MAX_DEPTH = 64
"""Objects and lists inside each other; beyond it a value is refused rather than followed."""


class NotJson(ValueError):
    """The text is not one JSON object as we take it; the message is the reason."""


class Fraction(str):
    """The text of a number that is not whole, as it was written."""

    __slots__ = ()


def parse_object(value: bytes) -> dict[str, Any]:
    """The one object that ``value`` holds. Raises ``NotJson``."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJson(f"not UTF-8 at byte {error.start}: {error.reason}") from None
    try:
        found, end = _DECODER.raw_decode(text, _skip_space(text, 0))
    except json.JSONDecodeError as error:
        raise NotJson(f"not JSON at character {error.pos}: {error.msg}") from None
    except RecursionError:
        raise NotJson(f"nested deeper than {MAX_DEPTH} levels") from None
    end = _skip_space(text, end)
    if end != len(text):
        raise NotJson(f"not JSON at character {end}: something follows the value")
    if not isinstance(found, dict):
        raise NotJson(f"not a JSON object but {kind_of(found)}")
    return found


def kind_of(value: object) -> str:
    """What a parsed value is, in words of JSON."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Fraction):
        return f"the number {_short(value)}"
    if isinstance(value, int):
        return f"the whole number {_short(str(value))}"
    if isinstance(value, str):
        return f"the text {_short(json.dumps(value))}"
    return "a list" if isinstance(value, list) else "an object"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."


def _skip_space(text: str, start: int) -> int:
    while start < len(text) and text[start] in " \t\n\r":
        start += 1
    return start


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise NotJson(f"the name {_short(json.dumps(twice))} stands twice in one object")
    return found


def _whole(text: str) -> int | Fraction:
    if text == "-0":
        return Fraction(text)
    if len(text) > 80:
        raise NotJson(f"a whole number of {len(text)} digits")
    return int(text)


def _constant(text: str) -> NoReturn:
    raise NotJson(f"{text} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=Fraction, parse_int=_whole, parse_constant=_constant)
