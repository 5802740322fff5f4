"""``ingest positions``: where a pipeline's sources and sinks stand, and moving them on purpose."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ingest.cli.hub_folder import not_there, open_hub, wait_option
from ingest.cli.output import confirm, json_option, print_rows
from ingest.cli.pipeline_file import file_argument, hub_of
from ingest.cli.talk import Talk
from ingest.errors import UsageError

if TYPE_CHECKING:
    from ingest.hub.contract import Hub
    from ingest.pipelines.loader import Pipeline


@click.group()
def positions() -> None:
    """Positions of a pipeline.

    A source's position stands in the hub and commits with its records. A sink's stands in its target and
    commits with its output; what is shown for it here is its last report.
    """


@positions.command()
@file_argument
@json_option
@click.pass_obj
def show(talk: Talk, file: Path, as_json: bool) -> None:
    """Where sources and sinks stand."""
    from ingest.pipelines.loader import load

    pipeline = load(file)
    folder = hub_of(pipeline, talk)
    rows = []
    if folder is not None:
        with open_hub(folder, writable=False) as hub:
            rows = [*_source_rows(hub, pipeline), *_sink_rows(hub, pipeline)]
    if not as_json:
        rows = [{**row, "position": json.dumps(row["position"])} for row in rows]
    print_rows(rows, ["task", "stream", "position"], as_json=as_json)


@positions.command("set")
@file_argument
@click.argument("source")
@click.argument("stream")
@click.argument("position", metavar="JSON")
@wait_option
@click.pass_obj
def set_position(talk: Talk, file: Path, source: str, stream: str, position: str, wait_s: float) -> None:
    """Puts one stream of a source at a position: JSON as `show` prints it."""
    pipeline, folder = _pipeline(file, source)
    try:
        value = json.loads(position)
    except ValueError as error:
        raise UsageError(f"the position is no JSON: {error}") from error
    if not isinstance(value, dict) or "position" not in value:
        raise UsageError("that is no position", hint="print one with: ingest positions show FILE --json")
    with open_hub(folder, writable=True, wait_s=wait_s) as hub:
        known = hub.positions(f"{pipeline.plan.pipeline}/{source}")
        if stream not in known:
            raise not_there("stream", stream, known)
        _commit(hub, f"{pipeline.plan.pipeline}/{source}", {stream: value})
    talk.say(f"{source}: {stream} is set", source=source, stream=stream)


@positions.command()
@file_argument
@click.argument("source")
@click.option("--stream", help="Only this stream.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@wait_option
@click.pass_obj
def reset(talk: Talk, file: Path, source: str, stream: str | None, yes: bool, wait_s: float) -> None:
    """Forgets a source's positions: the next run reads its input again, from the start."""
    pipeline, folder = _pipeline(file, source)
    owner = f"{pipeline.plan.pipeline}/{source}"
    with open_hub(folder, writable=True, wait_s=wait_s) as hub:
        known = hub.positions(owner)
        chosen = [name for name in known if stream in (None, name)]
        if stream is not None and not chosen:
            raise not_there("stream", stream, known)
        confirm(f"forget {len(chosen)} positions of {source}? its input is read again", yes)
        _commit(hub, owner, dict.fromkeys(chosen))
    talk.say(f"{source}: {len(chosen)} positions forgotten", source=source)


def _pipeline(file: Path, source: str) -> tuple[Pipeline, Path]:
    """The pipeline, which has this source, and the folder of its hub."""
    from ingest.pipelines.loader import load

    pipeline = load(file)
    if source in [plan.name for plan in pipeline.plan.sinks]:
        hint = "give the sink another name or another url to write its topics once more"
        raise UsageError(f"{source} is a sink: its position stands in its target and is not set here", hint=hint)
    names = [plan.name for plan in pipeline.plan.sources]
    if source not in names:
        raise not_there("source", source, names)
    return pipeline, Path(pipeline.hub)


def _commit(hub: Hub, owner: str, changes: Mapping[str, Mapping[str, Any] | None]) -> None:
    transaction = hub.transaction(hub.register_writer(owner))
    transaction.put_positions(owner, changes)
    transaction.commit().result()


def _source_rows(hub: Hub, pipeline: Pipeline) -> list[dict[str, Any]]:
    rows = []
    for source in pipeline.plan.sources:
        for stream, value in sorted(hub.positions(f"{pipeline.plan.pipeline}/{source.name}").items()):
            rows.append({"task": source.name, "stream": stream, "position": value})
    return rows


def _sink_rows(hub: Hub, pipeline: Pipeline) -> list[dict[str, Any]]:
    rows = []
    for sink in pipeline.plan.sinks:
        for place, offset in sorted(hub.group_offsets(f"{pipeline.plan.pipeline}.{sink.name}").items()):
            rows.append({"task": sink.name, "stream": f"{place.topic}-{place.partition}", "position": offset})
    return rows
