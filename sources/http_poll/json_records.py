"""The records in a JSON body: each as it was written, and as a value to look into."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

_SPACE = re.compile(r"[ \t\r\n]*")


class NotThere(ValueError):
    """The body is JSON, but not of the shape that the settings say."""


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def decoded(text: str) -> Any:
    """The whole body. Raises ``ValueError`` for what is no JSON."""
    value, end = _DECODER.raw_decode(text, _after_space(text, 0))
    if _after_space(text, end) != len(text):
        raise ValueError(f"more follows the JSON value at character {end}")
    return value


def at(value: Any, path: str) -> Any:
    """What stands at ``a.b.c`` in a decoded value; None where there is nothing."""
    for name in filter(None, path.split(".")):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def records_at(text: str, path: str) -> list[tuple[str, Any]]:
    """Each item of the list at ``path``, as it stands in ``text`` (no digit of a number is changed) and decoded.

    ``text`` is whole JSON. Raises ``NotThere`` where there is no list; null counts as an empty one.
    """
    place = _after_space(text, 0)
    for name in filter(None, path.split(".")):
        found = _member(text, place, name)
        if found is None:
            raise NotThere(f"there is no {path!r} in the answer")
        place = found
    if text.startswith("null", place):
        return []
    if text[place] != "[":
        raise NotThere(f"{path!r} is no list in the answer" if path else "the answer is no list; set `records`")
    return _items(text, place)


def _items(text: str, place: int) -> list[tuple[str, Any]]:
    found = []
    place = _after_space(text, place + 1)
    while text[place] != "]":
        value, end = _DECODER.raw_decode(text, place)
        found.append((text[place:end], value))
        place = _after_space(text, end)
        if text[place] == ",":
            place = _after_space(text, place + 1)
    return found


def _member(text: str, place: int, wanted: str) -> int | None:
    """Where the value of a member begins; of several with one name the last counts, as for the decoder."""
    if text[place] != "{":
        return None
    found = None
    place = _after_space(text, place + 1)
    while text[place] != "}":
        name, end = _DECODER.raw_decode(text, place)
        place = _after_space(text, _after_space(text, end) + 1)
        if name == wanted:
            found = place
        _, end = _DECODER.raw_decode(text, place)
        place = _after_space(text, end)
        if text[place] == ",":
            place = _after_space(text, place + 1)
    return found


def _after_space(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place
