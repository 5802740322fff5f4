"""``ingest status``: where pipelines stand, from outside of their process."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import click

from ingest.cli.hub_folder import data_option, is_hub
from ingest.cli.lag_text import lag_text
from ingest.cli.output import json_option, print_json, print_rows
from ingest.errors import UsageError

_STALE_MS = 5_000
_COLUMNS = [
    "task",
    "state",
    "records",
    "written",
    "filtered",
    "dead_letters",
    "pending",
    "records_per_second",
    "lag",
    "commits",
    "last_commit",
    "retries",
]


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@data_option
@json_option
def status(file: Path | None, data: Path, as_json: bool) -> None:
    """Show positions, lag, rates, errors and last commits of one pipeline, or of all on a hub.

    Numbers are those of the running process, or of the last run; they are at most a second old while it runs.
    """
    folder, names = _which(file, data)
    found = [_state(folder, name) for name in names]
    if as_json:
        for state in found:
            print_json(state)
        return
    for state in found:
        _print(state)


def _which(file: Path | None, data: Path) -> tuple[Path, list[str]]:
    from ingest.runtime.status_file import status_path

    if file is not None:
        from ingest.pipelines.loader import load

        pipeline = load(file)
        return Path(pipeline.hub), [pipeline.plan.pipeline]
    if not is_hub(data):
        raise UsageError(f"{data} is no data folder", hint="name a pipeline file, or the hub's folder with --data")
    return data, sorted(path.stem for path in status_path(data, "any").parent.glob("*.json"))


def _state(folder: Path, name: str) -> dict[str, Any]:
    from ingest.runtime.status_file import read_status

    state = read_status(folder, name)
    if state is None:
        return {"pipeline": name, "state": "never run", "tasks": []}
    running = state["state"] in ("running", "stopping")
    age_ms = time.time_ns() // 1_000_000 - state["updated_ms"]
    if running and (age_ms > _STALE_MS or not _alive(state["pid"])):
        state["state"] = "gone (its process ended without a stop; run it again: it goes on where it stood)"
    return state


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _print(state: dict[str, Any]) -> None:
    click.echo(f"{state['pipeline']}: {state['state']}")
    tasks = [{**task, "last_commit": _ago(task["last_commit_ms"]), "lag": lag_text(task)} for task in state["tasks"]]
    if tasks:
        print_rows(tasks, _COLUMNS, as_json=False)
    for task in tasks:
        if task["last_error"]:
            click.echo(f"{task['task']}: last error: {task['last_error']}")


def _ago(time_ms: int | None) -> str | None:
    if time_ms is None:
        return None
    seconds = max(0, time.time_ns() // 1_000_000 - time_ms) // 1000
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit} ago"
    return f"{seconds}s ago"
