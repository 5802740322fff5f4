"""``ingest run``: runs pipelines until stopped, or until they have caught up."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ingest.cli.exit_codes import EXIT_DONE
from ingest.cli.hub_folder import wait_option
from ingest.cli.pipeline_file import files_argument
from ingest.cli.stopping import stop_signal
from ingest.cli.talk import Talk
from ingest.errors import IngestError

if TYPE_CHECKING:
    from ingest.pipelines.loader import Pipeline
    from ingest.runtime.worker import Outcome

_SWITCH_INTERVAL_S = 0.0005
"""A thread that runs Python must hand over soon: the log's syncer and the sinks wait for it."""


@click.command()
@files_argument
@click.option(
    "--until-caught-up",
    is_flag=True,
    help="Stop, with exit code 0, when all sources are drained and all sinks have committed. The last line of a file "
    "is delivered without its end if the file has not grown for a second.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The embedded hub's folder, in place of the file's `hub`.",
)
@click.option("--quiet", is_flag=True, help="No progress, only the end.")
@wait_option
@click.pass_obj
def run(
    talk: Talk, files: tuple[Path, ...], until_caught_up: bool, data: Path | None, quiet: bool, wait_s: float
) -> int:
    """Run pipelines. Ctrl-C stops them cleanly: what is pending is committed, within 10 seconds.

    After a crash, or a stop of any kind, the same command goes on where it stood: no row is lost, none comes twice.
    """
    from ingest.cli.arrow_start import start_arrow

    start_arrow()  # before the first use of it, which may be where a transform is made
    from ingest.pipelines.loader import load

    pipelines = [_on(load(file), data) for file in files]
    outcomes = run_all(talk, pipelines, until_caught_up=until_caught_up, quiet=quiet, wait_s=wait_s)
    return max((outcome.exit_code for outcome in outcomes), default=EXIT_DONE)


def run_all(
    talk: Talk, pipelines: Sequence[Pipeline], *, until_caught_up: bool, quiet: bool, wait_s: float
) -> Sequence[Outcome]:
    """Runs them in this process; tells how they come on, and how they ended. Call ``start_arrow`` before they are
    loaded."""
    import sys

    from ingest.cli.progress import ProgressView
    from ingest.environment import Environment
    from ingest.pipelines.runner import Runner

    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    runner = Runner(
        pipelines, Environment(), until_caught_up=until_caught_up, wait_ms=int(wait_s * 1000), report=talk.say
    )
    with stop_signal(runner.stop), ProgressView(talk, runner.status, quiet=quiet) as view:
        outcomes = runner.run(view.tick)
    _tell_end(talk, runner.status(), outcomes)
    return outcomes


def _on(pipeline: Pipeline, data: Path | None) -> Pipeline:
    return pipeline if data is None else dataclasses.replace(pipeline, hub=str(data.absolute()))


def _tell_end(talk: Talk, status: Sequence[dict[str, Any]], outcomes: Sequence[Outcome]) -> None:
    """The last line says what was done."""
    for state in status:
        talk.say(_summary(state), **_totals(state))
    for outcome in outcomes:
        if outcome.error is not None:
            talk.error(_explained(outcome))


def _totals(state: dict[str, Any]) -> dict[str, Any]:
    sources = [task for task in state["tasks"] if task["task"].startswith("source ")]
    sinks = [task for task in state["tasks"] if task["task"].startswith("sink ")]
    return {
        "pipeline": state["pipeline"],
        "records_in": sum(task["records"] for task in sources or sinks),
        "records_out": sum(task["written"] for task in sinks or sources),
        "filtered": sum(task["filtered"] for task in state["tasks"]),
        "commits": sum(task["commits"] for task in sinks),
        "dead_letters": sum(task["dead_letters"] for task in state["tasks"]),
    }


def _summary(state: dict[str, Any]) -> str:
    totals = _totals(state)
    return (
        f"{state['pipeline']}: {state['state']}; {totals['records_in']} records in, {totals['records_out']} out"
        f" in {totals['commits']} commits, {totals['filtered']} filtered out, {totals['dead_letters']} dead letters"
    )


def _explained(outcome: Outcome) -> IngestError:
    error = outcome.error
    if isinstance(error, IngestError):
        return IngestError(f"{outcome.task}: {error.message}", hint=error.hint)
    return IngestError(f"{outcome.task}: {type(error).__name__}: {error}")
