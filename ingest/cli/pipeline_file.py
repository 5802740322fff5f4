"""Commands that take a pipeline file, and look at what its runs have left in the hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ingest.cli.hub_folder import is_hub

if TYPE_CHECKING:
    from ingest.cli.talk import Talk
    from ingest.pipelines.loader import Pipeline

file_argument = click.argument("file", type=click.Path(path_type=Path))
files_argument = click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))


def hub_of(pipeline: Pipeline, talk: Talk) -> Path | None:
    """The folder of the pipeline's hub; None, and a word about it, if the pipeline was never run."""
    folder = Path(pipeline.hub)
    if is_hub(folder):
        return folder
    talk.say(f"{pipeline.plan.pipeline} was never run: there is no data folder at {folder}", hub=str(folder))
    return None
