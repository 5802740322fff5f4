"""What somebody probably meant who wrote YAML that cannot be read."""

from __future__ import annotations

import re

_VARIABLE_IN_BRACKETS = re.compile(r"""[\[{,:]\s*[^"'\s,\]}]*\$\{""")
_IN_BRACKETS = re.compile(r"[\[{]")
_RESERVED = "*&!%@`|>"


def yaml_hint(text: str, line: int, column: int, problem: str) -> str | None:
    """A hint for the ``problem`` that a parser has at ``line`` and ``column``, counted from 0."""
    lines = text.splitlines()
    here = lines[line] if line < len(lines) else ""
    if _VARIABLE_IN_BRACKETS.search(here) and _IN_BRACKETS.search(here.replace("${", "")):
        return 'quote it: inside [...] and {...}, a variable stands in quotes, such as ["${NAME}"]'
    if "\t" in here[: column + 1]:
        return "indent with spaces: YAML takes no tabs there"
    if "mapping values are not allowed" in problem:
        return "quote it if it is one text: a text that holds ': ' stands in quotes"
    letter = _first_of_text(here, column)
    if letter:
        return f"quote it: a text that begins with {letter} stands in quotes"
    if "end of stream" in problem or "expected ',' or" in problem:
        return "a quote or a bracket is opened and not closed, there or above"
    return None


def _first_of_text(line: str, column: int) -> str | None:
    """The letter that cannot begin a text; the parser points at it, or just behind it."""
    for place in (column, column - 1):
        if 0 <= place < len(line) and line[place] in _RESERVED:
            return line[place]
    return None
