"""``ingest init``: a runnable pipeline to start from."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from ingest.cli.hub_folder import not_there
from ingest.cli.output import json_option, print_rows
from ingest.cli.talk import Talk
from ingest.errors import UsageError


def _templates() -> Path:
    from ingest import pipelines

    return Path(pipelines.__file__).resolve().parent / "templates"


def _names() -> list[str]:
    return sorted(folder.name for folder in _templates().iterdir() if (folder / "pipeline.yaml").is_file())


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option("--template", metavar="T", default="access-log", show_default=True, help="What to start from.")
@click.option("--list", "list_only", is_flag=True, help="List the templates.")
@json_option
@click.pass_obj
def init(talk: Talk, folder: Path, template: str, list_only: bool, as_json: bool) -> None:
    """Make a runnable pipeline to start from. Files that are there are never overwritten."""
    if list_only:
        rows = [{"template": name, "summary": _summary(_templates() / name)} for name in _names()]
        print_rows(rows, ["template", "summary"], as_json=as_json)
        return
    if template not in _names():
        raise not_there("template", template, _names())
    source = _templates() / template
    files = [path for path in sorted(source.rglob("*")) if path.is_file()]
    taken = [path.relative_to(source) for path in files if (folder / path.relative_to(source)).exists()]
    if taken:
        raise UsageError(f"{folder / taken[0]} is already there", hint="choose another folder")
    for path in files:
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    talk.say(f"made {folder / 'pipeline.yaml'}; run it with: ingest run {folder / 'pipeline.yaml'} --until-caught-up")


def _summary(folder: Path) -> str:
    first = (folder / "pipeline.yaml").read_text(encoding="utf-8").partition("\n")[0]
    return first.lstrip("# ")
