"""``ingest preview``: the first rows after each step; writes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingest.cli.columns import cells, json_lines
from ingest.cli.hub_folder import not_there
from ingest.cli.output import json_option, print_json, print_line, print_rows
from ingest.cli.pipeline_file import file_argument
from ingest.cli.talk import Talk

if TYPE_CHECKING:
    from ingest.connectors import Records

_MOST_REASONS = 20
"""Refused records that are shown of each step; the others are counted."""


@click.command()
@file_argument
@click.option(
    "--rows", type=click.IntRange(1, 10_000), default=5, show_default=True, help="How many rows to take from a source."
)
@click.option("--source", help="Only this source.")
@json_option
@click.pass_obj
def preview(talk: Talk, file: Path, rows: int, source: str | None, as_json: bool) -> None:
    """Show the first rows of each source after each step; write nothing, commit nothing."""
    from ingest.pipelines.loader import load
    from ingest.pipelines.trial import Step, first_records, steps

    pipeline = load(file)
    known = [plan.name for plan in pipeline.plan.sources]
    if source is not None and source not in known:
        raise not_there("source", source, known)
    if not known:
        talk.say(f"{pipeline.plan.pipeline} has no source to preview")
    for plan, spec in zip(pipeline.plan.sources, pipeline.spec.sources, strict=True):
        if source not in (None, plan.name):
            continue
        names = [str(entry["type"]) for entry in spec.get("transforms", [])]
        records, refused = first_records(plan, pipeline.plan.base_folder, rows)
        shown = [Step("source", records, refused), *steps(records, plan.transforms, names)]
        for number, step in enumerate(shown):
            title = f"{plan.name}, step {number} ({step.name})" if number else f"{plan.name}, as it comes"
            _show(title, plan.name, number, step.records, step.refused, as_json)


def _show(
    title: str, source: str, number: int, records: Sequence[Records], refused: Sequence[str], as_json: bool
) -> None:
    batches = [batch.columns() for batch in records]
    if as_json:
        for row in (row for batch in batches for row in json_lines(batch)):
            print_line(f'{json.dumps({"source": source, "step": number}, ensure_ascii=False)[:-1]}, "row": {row}}}')
        for reason in refused[:_MOST_REASONS]:
            print_json({"source": source, "step": number, "refused": reason})
        if len(refused) > _MOST_REASONS:
            print_json({"source": source, "step": number, "refused_more": len(refused) - _MOST_REASONS})
        return
    rows = [row for batch in batches for row in cells(batch)]
    click.echo(f"== {title}: {len(rows)} rows, {len(refused)} refused")
    if rows:
        print_rows(rows, list(dict.fromkeys(name for row in rows for name in row)), as_json=False)
    for reason in refused[:_MOST_REASONS]:
        click.echo(f"refused: {reason}")
    if len(refused) > _MOST_REASONS:
        click.echo(
            f"refused: {len(refused) - _MOST_REASONS:,} more; `ingest dead-letters` shows all of them after a run"
        )
    click.echo()
