"""``ingest dead-letters``: records that could not go on, with the reason and where they came from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ingest.cli.hub_folder import open_hub
from ingest.cli.output import json_option, print_json, print_rows
from ingest.cli.pipeline_file import file_argument, hub_of
from ingest.cli.reading import batches, record_facts, text_or_base64
from ingest.cli.talk import Talk

if TYPE_CHECKING:
    from ingest.hub.contract import Hub

ERROR_PREFIX = "ingest.error."
_NOT_ORIGIN = {"stage", "class", "reason"}

limit_option = click.option("--limit", type=click.IntRange(1), help="Print at most this many; all by default.")


@click.group("dead-letters")
def dead_letters() -> None:
    """Records that could not be parsed, converted or written: kept whole, each with its reason."""


@dead_letters.command("list")
@file_argument
@limit_option
@json_option
@click.pass_obj
def list_letters(talk: Talk, file: Path, limit: int | None, as_json: bool) -> None:
    """All dead letters of a pipeline, a line each."""
    rows = _limited(_letters_of(file, talk), limit)
    if as_json:
        print_rows(rows, [], as_json=True)
        return
    short = [{**row, "origin": _origin_text(row["origin"]), "value": _short(row)} for row in rows]
    print_rows(short, ["offset", "timestamp", "stage", "reason", "origin", "value"], as_json=False)


@dead_letters.command()
@file_argument
@click.option("--offset", type=int, help="Only the letter at this offset.")
@limit_option
@json_option
@click.pass_obj
def show(talk: Talk, file: Path, offset: int | None, limit: int | None, as_json: bool) -> None:
    """Dead letters in full."""
    rows = (row for row in _letters_of(file, talk) if offset in (None, row["offset"]))
    for row in _limited(rows, limit):
        if as_json:
            print_json(row)
            continue
        click.echo(f"{row['topic']}-{row['partition']} offset {row['offset']}  {row['timestamp']}")
        click.echo(f"  stage:  {row['stage']}\n  reason: {row['reason']}\n  origin: {_origin_text(row['origin'])}")
        click.echo(f"  value:  {row.get('value', row.get('value_base64'))}\n")


def _letters_of(file: Path, talk: Talk) -> Iterator[dict[str, Any]]:
    from ingest.pipelines.loader import load

    pipeline = load(file)
    topic, folder = pipeline.plan.errors.topic, hub_of(pipeline, talk)
    if topic is None or folder is None:
        return
    with open_hub(folder, writable=False) as hub:
        if topic in {info.name for info in hub.topics()}:
            yield from letters(hub, topic)


def letters(hub: Hub, topic: str) -> Iterator[dict[str, Any]]:
    """Every dead letter of ``topic``, as the design prints it."""
    for partition in range(hub.topic(topic).partitions):
        start, end = hub.start_offset(topic, partition), hub.end_offset(topic, partition)
        for records in batches(hub, topic, partition, start, end):
            for known, value in zip(record_facts(records), records.value.to_pylist(), strict=True):
                facts = _facts(known["headers"])
                yield {
                    **{name: known[name] for name in ("topic", "partition", "offset", "timestamp")},
                    "stage": facts.get("stage"),
                    "reason": facts.get("reason"),
                    "origin": {name: value for name, value in facts.items() if name not in _NOT_ORIGIN},
                    **text_or_base64("value", value),
                }


def _facts(headers: list[dict[str, Any]]) -> dict[str, Any]:
    """What the ``ingest.error.*`` headers say, numbers as numbers."""
    facts: dict[str, Any] = {}
    for header in headers:
        if header["key"].startswith(ERROR_PREFIX):
            text = (header["value"] or b"").decode("utf-8", "replace")
            name = header["key"].removeprefix(ERROR_PREFIX)
            facts[name] = int(text) if name in ("position", "partition", "offset", "row") and text.isdigit() else text
    return facts


def _limited(rows: Iterator[dict[str, Any]], limit: int | None) -> Iterator[dict[str, Any]]:
    import itertools

    return rows if limit is None else itertools.islice(rows, limit)


def _origin_text(origin: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in origin.items() if name != "pipeline")


def _short(row: dict[str, Any]) -> str:
    text = str(row.get("value", row.get("value_base64")))
    return text if len(text) <= 60 else text[:57] + "..."
