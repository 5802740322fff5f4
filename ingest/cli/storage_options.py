"""``--option KEY=VALUE``: how to reach a table that the command line names."""

from __future__ import annotations

import json
from typing import Any

import click

from ingest.errors import UsageError

storage_option = click.option(
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="A storage option for the tables' URLs, as a sink's `storage_options` has it; may hold ${VAR} and"
    " ${file:/path}, in single quotes, so that no secret stands on the command line.",
)


def parsed_options(options: tuple[str, ...]) -> dict[str, Any]:
    """The options as a mapping. A value that is JSON is taken as such: true, 5, {"region_name": "eu"}."""
    from ingest.pipelines.variables import substitute

    found: dict[str, Any] = {}
    for option in options:
        key, separator, value = option.partition("=")
        if not separator or not key:
            raise UsageError(
                f"{option} is no option", hint="write KEY=VALUE, such as endpoint_url=http://127.0.0.1:9000"
            )
        found[key] = _value(substitute(value))
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
