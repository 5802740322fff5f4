"""``ingest test``: runs the tests that a pipeline file holds."""

from __future__ import annotations

from pathlib import Path

import click

from ingest.cli.exit_codes import EXIT_FAILED
from ingest.cli.output import json_option, print_json
from ingest.cli.pipeline_file import files_argument
from ingest.cli.talk import Talk


@click.command()
@files_argument
@json_option
@click.pass_obj
def test(talk: Talk, files: tuple[Path, ...], as_json: bool) -> int:
    """Run the pipelines' own tests: input records through the transforms, compared with the output expected.

    Exit code 1 if one fails.
    """
    from ingest.pipelines.loader import load
    from ingest.pipelines.own_tests import run_tests

    failed = count = 0
    for file in files:
        for result in run_tests(load(file)):
            count += 1
            failed += not result.passed
            if as_json:
                print_json(
                    {"file": str(file), "test": result.name, "passed": result.passed, "problems": result.problems}
                )
                continue
            click.echo(f"{'ok' if result.passed else 'FAILED'}  {result.name}")
            for problem in result.problems:
                click.echo(f"    {problem}")
    talk.say(f"{count - failed} passed, {failed} failed" if count else "no tests: add some under `tests:`")
    return EXIT_FAILED if failed else 0
