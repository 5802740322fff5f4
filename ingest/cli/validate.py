"""``ingest validate``: every mistake of a pipeline file, with its line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingest.cli.exit_codes import EXIT_CONFIG, EXIT_FAILED
from ingest.cli.pipeline_file import files_argument
from ingest.cli.talk import Talk
from ingest.errors import ConfigError, IngestError

if TYPE_CHECKING:
    from ingest.connectors import SinkConnector, SourceConnector


@click.command()
@files_argument
@click.option("--connect", is_flag=True, help="Reach the systems that the pipeline names, too; change nothing there.")
@click.pass_obj
def validate(talk: Talk, files: tuple[Path, ...], connect: bool) -> int:
    """Check pipeline files; print every mistake with its line. Exit code 78 if there is any."""
    worst = 0
    for file in files:
        try:
            failures = _check(file, connect)
        except ConfigError as error:
            talk.error(error)
            worst = EXIT_CONFIG
            continue
        for failure in failures:
            talk.error(failure)
        if failures:
            worst = max(worst, EXIT_FAILED)
        else:
            talk.say(f"{file} is valid", path=str(file))
    return worst


def _check(file: Path, connect: bool) -> list[IngestError]:
    from ingest.pipelines.loader import load

    plan = load(file).plan
    connectors: list[SourceConnector | SinkConnector] = []
    if connect:
        connectors = [*(source.connector for source in plan.sources), *(sink.connector for sink in plan.sinks)]
    failures: list[IngestError] = []
    for connector in connectors:
        try:
            connector.check(plan.base_folder)
        except IngestError as error:
            failures.append(error)
    return failures
