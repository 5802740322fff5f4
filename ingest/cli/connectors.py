"""``ingest connectors``: what there is, and every setting with type, default and meaning."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

import click

from ingest.cli.hub_folder import not_there
from ingest.cli.output import json_option, print_json, print_rows
from ingest.config import duration_text, size_text

KINDS = {"source": "sources", "transform": "transforms", "sink": "sinks"}

_HEAD = """\
# Sources, transforms and sinks

Made from their settings by `ingest connectors reference`.

A *duration* is written `500ms`, `30s`, `5m`, `1h30m` or `7d` (a bare number is milliseconds), a *size* `128MiB` or
`1 MB` (a bare number is bytes)."""


@click.group()
def connectors() -> None:
    """Sources, transforms and sinks: built in, or installed with other packages."""


@connectors.command("list")
@json_option
def list_connectors(as_json: bool) -> None:
    """All connectors with one line on each."""
    from ingest.runtime import plugins

    rows = [
        {"kind": kind, "type": name, "summary": _summary(plugins.find(group, name))}
        for kind, group in KINDS.items()
        for name in plugins.known(group)
    ]
    print_rows(rows, ["kind", "type", "summary"], as_json=as_json)


@connectors.command()
@click.argument("type_", metavar="TYPE")
@click.option("--kind", type=click.Choice(list(KINDS)), help="Where a name is both a source and a sink.")
@json_option
def describe(type_: str, kind: str | None, as_json: bool) -> None:
    """The settings of one connector."""
    from ingest.runtime import plugins

    found = [name for name, group in KINDS.items() if type_ in plugins.known(group) and kind in (None, name)]
    if not found:
        raise not_there(kind or "connector", type_, {name for group in KINDS.values() for name in plugins.known(group)})
    for name in found:
        _describe(name, type_, plugins.find(KINDS[name], type_), as_json)


@connectors.command()
def reference() -> None:
    """All connectors and their settings, as a Markdown page."""
    from ingest.runtime import plugins

    click.echo(_HEAD)
    for kind, group in KINDS.items():
        for name in plugins.known(group):
            click.echo(_page(kind, name, plugins.find(group, name)))


def _page(kind: str, name: str, cls: Any) -> str:
    lines = [
        f"\n## {kind} `{name}`\n",
        inspect.getdoc(cls) or "",
        "",
        "| setting | type | default | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for setting in settings_of(cls.Settings):
        default = "required" if setting["required"] else f"`{_default_text(setting)}`"
        cells = [f"`{setting['name']}`", setting["type"], default, setting["description"]]
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)


def _describe(kind: str, name: str, cls: Any, as_json: bool) -> None:
    settings = settings_of(cls.Settings)
    if as_json:
        print_json({"kind": kind, "type": name, "description": inspect.getdoc(cls) or "", "settings": settings})
        return
    click.echo(f"{kind} {name}\n\n{inspect.getdoc(cls) or ''}\n")
    for setting in settings:
        default = "required" if setting["required"] else f"default {_default_text(setting)}"
        click.echo(f"  {setting['name']}  ({setting['type']}, {default})\n      {setting['description']}")
    click.echo()


def settings_of(model: Any) -> list[dict[str, Any]]:
    """Name, type, default and description of each setting, as published; those inside a mapping as ``roll.rows``."""
    schema = model.model_json_schema()
    return list(_rows(schema, schema.get("$defs", {}), ""))


def _rows(schema: dict[str, Any], definitions: dict[str, Any], prefix: str) -> Iterator[dict[str, Any]]:
    required = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        inside = list(_mappings(field, definitions))
        yield {
            "name": prefix + name,
            "type": _type(field, definitions),
            "required": name in required,
            "default": {} if inside and isinstance(field.get("default"), dict) else _default(field),
            "description": field.get("description") or next((mapping.get("description", "") for mapping in inside), ""),
        }
        told: set[str] = set()
        for mapping in inside:
            for row in _rows(mapping, definitions, f"{prefix}{name}."):
                if row["name"] not in told:
                    yield row
                told.add(row["name"])


def _mappings(field: dict[str, Any], definitions: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The mappings with settings of their own that ``field`` may be."""
    if "$ref" in field:
        yield from _mappings(definitions.get(field["$ref"].rpartition("/")[2], {}), definitions)
    elif field.get("type") == "object" and "properties" in field:
        yield field
    for branch in [*field.get("anyOf", []), *field.get("oneOf", []), *filter(None, [field.get("items")])]:
        yield from _mappings(branch, definitions)


def _unit(field: dict[str, Any]) -> str | None:
    """``ms`` or ``bytes``, also where the setting may be null."""
    units = [branch.get("x-unit") for branch in (field, *field.get("anyOf", []))]
    return next(filter(None, units), None)


def _default(field: dict[str, Any]) -> Any:
    """As one would write it."""
    value = field.get("default")
    if isinstance(value, int) and _unit(field) == "ms":
        return duration_text(value)
    if isinstance(value, int) and _unit(field) == "bytes":
        return size_text(value)
    return value


def _default_text(setting: dict[str, Any]) -> str:
    value = setting["default"]
    if value is None:
        return "none"
    if value == {}:
        return "each its own"
    return value if isinstance(value, str) and value else json.dumps(value)


def _type(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in field:
        return _type(definitions.get(field["$ref"].rpartition("/")[2], {}), definitions)
    if "x-unit" in field:
        return {"ms": "duration", "bytes": "size"}[field["x-unit"]]
    if "const" in field:
        return repr(field["const"])
    if "enum" in field:
        return " | ".join(str(value) for value in field["enum"])
    for union in ("anyOf", "oneOf"):
        if union in field:
            return " | ".join(dict.fromkeys(_type(branch, definitions) for branch in field[union]))
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}), definitions)}"
    if field.get("type") == "object" and "properties" in field:
        return "mapping"
    return str(field.get("type", "any"))


def _summary(cls: Any) -> str:
    """The first sentence."""
    paragraph = (inspect.getdoc(cls) or "").partition("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=[.!?]) ", paragraph)[0]
