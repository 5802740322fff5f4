"""Folder names as Hive makes them: ``key=value``, what could leave or confuse a path written as ``%XX``.

Whatever the value, the result is one path component below the table: it holds no ``/``, and the ``=`` in it
keeps it from being ``.`` or ``..``.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

NULL = "__HIVE_DEFAULT_PARTITION__"
MAX_COMPONENT_BYTES = 255
"""What file systems take as one name."""

_ESCAPED = re.compile(r"[\x00-\x1f\x7f\"#%'*/:=?\\{\[\]^]")


def component(key: str, value: str | None) -> str:
    """``key=value``. An empty text stays empty and is not null; a text that reads like Hive's null does not
    become it."""
    if value is None:
        return f"{_escaped(key)}={NULL}"
    text = _escaped(value)
    return f"{_escaped(key)}={'%5F' + text[1:] if value == NULL else text}"


def parse_component(name: str) -> tuple[str, str | None] | None:
    """The key and value of a folder's name; None if it is none of a partition's."""
    key, equals, value = name.partition("=")
    if not equals:
        return None
    return unquote(key), None if value == NULL else unquote(value)


def _escaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: f"%{ord(match.group()):02X}", text)
