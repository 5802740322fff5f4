"""``ingest preview``: the first rows after each step; writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ingest.cli.output import json_option, print_json, print_rows
from ingest.cli.reading import text_or_base64
from ingest.cli.talk import Talk

if TYPE_CHECKING:
    from ingest.connectors import Records

_MOST_REASONS = 20
"""Refused records that are shown of each step; the others are counted."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
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
    for plan, spec in zip(pipeline.plan.sources, pipeline.spec.sources, strict=True):
        if source not in (None, plan.name):
            continue
        names = [str(entry["type"]) for entry in spec.get("transforms", [])]
        records, refused = first_records(plan, pipeline.plan.base_folder, rows)
        shown = [Step("source", records, refused), *steps(records, plan.transforms, names)]
        for number, step in enumerate(shown):
            title = f"{plan.name}, step {number} ({step.name})" if number else f"{plan.name}, as it comes"
            _show(talk, title, plan.name, number, step.records, step.refused, as_json)


def _show(
    talk: Talk, title: str, source: str, number: int, records: Sequence[Records], refused: Sequence[str], as_json: bool
) -> None:
    rows = [row for batch in records for row in batch.columns().to_pylist()]
    if as_json:
        for row in rows:
            print_json({"source": source, "step": number, "row": {key: _plain(value) for key, value in row.items()}})
        for reason in refused[:_MOST_REASONS]:
            print_json({"source": source, "step": number, "refused": reason})
        if len(refused) > _MOST_REASONS:
            print_json({"source": source, "step": number, "refused_more": len(refused) - _MOST_REASONS})
        return
    click.echo(f"== {title}: {len(rows)} rows, {len(refused)} refused")
    if rows:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        print_rows([{key: _plain(value) for key, value in row.items()} for row in rows], columns, as_json=False)
    for reason in refused[:_MOST_REASONS]:
        click.echo(f"refused: {reason}")
    if len(refused) > _MOST_REASONS:
        click.echo(
            f"refused: {len(refused) - _MOST_REASONS:,} more; `ingest dead-letters` shows all of them after a run"
        )
    click.echo()


def _plain(value: Any) -> Any:
    return next(iter(text_or_base64("value", value).values()))
