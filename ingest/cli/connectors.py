"""``ingest connectors``: what there is, and every setting with type, default and meaning."""

from __future__ import annotations

import inspect
from typing import Any

import click

from ingest.cli.hub_folder import not_there
from ingest.cli.output import json_option, print_json, print_rows

KINDS = {"source": "sources", "transform": "transforms", "sink": "sinks"}


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

    click.echo("# Sources, transforms and sinks\n\nMade from their settings by `ingest connectors reference`.")
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
        default = "required" if setting["required"] else f"`{setting['default']}`"
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
        default = "required" if setting["required"] else f"default {setting['default']}"
        click.echo(f"  {setting['name']}  ({setting['type']}, {default})\n      {setting['description']}")
    click.echo()


def settings_of(model: Any) -> list[dict[str, Any]]:
    """Name, type, default and description of each setting, as published."""
    schema = model.model_json_schema()
    required = set(schema.get("required", []))
    rows = []
    for name, field in schema.get("properties", {}).items():
        rows.append(
            {
                "name": name,
                "type": _type(field, schema.get("$defs", {})),
                "required": name in required,
                "default": field.get("default"),
                "description": field.get("description", ""),
            }
        )
    return rows


def _type(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in field:
        return _type(definitions.get(field["$ref"].rpartition("/")[2], {}), definitions)
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
        return "{" + ", ".join(field["properties"]) + "}"
    return str(field.get("type", "any"))


def _summary(cls: Any) -> str:
    return (inspect.getdoc(cls) or "").partition("\n")[0]
