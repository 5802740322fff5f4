"""Complaints about settings in the words of somebody who writes YAML: what is needed, and what to write."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from ingest.config import nearest

_NEEDED = {
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
_MOST_SHOWN = 60


def needed(kind: str) -> str | None:
    """What a value must be that pydantic refuses with an error of this type; None if that is no matter of types."""
    return _NEEDED.get(kind)


def worded(name: str, item: Mapping[str, Any]) -> str:
    """The complaint ``item`` of pydantic about the setting ``name``."""
    kind, context = item["type"], item.get("ctx", {})
    if kind in _NEEDED:
        return f"{name} must be {_NEEDED[kind]}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"{name} must be {words} {context[bound]}"
    if kind == "literal_error":
        return f"{name} must be one of {', '.join(_choices(context))}"
    if kind == "too_short":
        return f"{name} must have at least {context['min_length']}, not {context['actual_length']}"
    if kind == "too_long":
        limit = context["max_length"]
        return f"{name} must hold at most {limit} entries" if limit else f"{name} must be empty"
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{name}: {message[:1].lower()}{message[1:]}"


def hint(name: str, item: Mapping[str, Any], written: Any, field: FieldInfo | None, keys: Sequence[str]) -> str | None:
    """What to write instead of ``written``; ``keys`` are those of the mapping that is needed, if they are known."""
    kind = item["type"]
    if kind == "literal_error":
        meant = nearest(str(written), _choices(item.get("ctx", {})))
        return f"did you mean {meant}?" if meant else None
    needs = _NEEDED.get(kind)
    if needs is None:
        return field.description if kind == "too_long" and field is not None else None
    if written is None:
        return f"nothing stands after {name}: write {needs}, or leave the whole line out"
    if needs == "a list":
        return _list_hint(name, written, field)
    if needs == "a mapping":
        return _mapping_hint(name, field, keys)
    if needs == "a text":
        return _text_hint(name, written, field)
    return f"write for example {name}: {_example(needs, field)}"


def _choices(context: Mapping[str, Any]) -> list[str]:
    """Of ``'beginning' or 'end'``, ``'a', 'b' or 'c'``."""
    return [part.strip(" '") for part in str(context.get("expected", "")).replace(" or ", ", ").split(", ")]


def _list_hint(name: str, written: Any, field: FieldInfo | None) -> str:
    if field is not None and "dict" in str(field.annotation):
        return "write each entry below it, on lines of its own that begin with a dash: - type: ..."
    return f"write {name}: [{_shown(written, field)}]"


def _mapping_hint(name: str, field: FieldInfo | None, keys: Sequence[str]) -> str:
    if field is None:
        return "write each entry on lines of its own that begin with a dash: - type: ..."
    if typing.get_origin(field.annotation) is dict:
        return f"write {name}: {{NAME: ...}}"
    return f"write {name}: {{{', '.join(f'{key}: ...' for key in keys) or 'key: value'}}}"


def _text_hint(name: str, written: Any, field: FieldInfo | None) -> str:
    if isinstance(written, list | dict):
        return f"write one text, without brackets: {name}: ..."
    return f'put it in quotes: {name}: "{_shown(written, field)}"'


def _example(needs: str, field: FieldInfo | None) -> str:
    if needs == "true or false":
        return "true"
    default = field.default if field is not None else None
    return str(default) if isinstance(default, int | float) and not isinstance(default, bool) else "1"


def _shown(written: Any, field: FieldInfo | None) -> str:
    """The value as it stands in the file, but for secrets and what is long."""
    if isinstance(written, list | dict) or (field is not None and _is_secret(field.annotation)):
        return "..."
    text = str(written).lower() if isinstance(written, bool) else str(written)
    if len(text) > _MOST_SHOWN:
        return "..."
    return f'"{text}"' if "${" in text else text


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(map(_is_secret, typing.get_args(annotation)))
