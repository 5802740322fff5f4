"""``ingest check``: verifies a data folder or a lake table."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from ingest.cli.exit_codes import EXIT_DONE, EXIT_FAILED, named_on_command_line
from ingest.cli.hub_folder import is_hub, open_hub
from ingest.cli.output import json_option, print_rows
from ingest.cli.storage_options import parsed_options, storage_option
from ingest.cli.talk import Talk
from ingest.errors import UsageError


@click.command()
@click.argument("place", metavar="DIR|URL")
@click.option("--repair", is_flag=True, help="Do what can be repaired without losing a good record.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The embedded hub's folder: a lake table's commits are compared with its records, too.",
)
@storage_option
@json_option
@click.pass_obj
def check(talk: Talk, /, place: str, repair: bool, data: Path | None, options: tuple[str, ...], as_json: bool) -> int:
    """Verify a data folder (every batch, index and transaction) or a lake table (every file, by its manifests).

    Prints each finding with what `--repair` would do. Exit code 1 if there is any that stays.
    """
    with named_on_command_line():
        findings = _findings(place, repair, data, parsed_options(options))
    print_rows(findings, ["severity", "place", "problem", "repair"], as_json=as_json) if findings or as_json else None
    left = [finding for finding in findings if not finding["repaired"] and finding["severity"] == "error"]
    talk.say(
        f"{place}: {len(findings)} findings, {len(left)} of them errors that stay" if findings else f"{place} is whole"
    )
    return EXIT_FAILED if left else EXIT_DONE


def _findings(place: str, repair: bool, data: Path | None, options: dict[str, Any]) -> list[dict[str, Any]]:
    path = Path(place)
    if "://" not in place and is_hub(path):
        from ingest.log.check import check_folder

        return [finding.as_dict() for finding in check_folder(path, repair=repair)]
    from ingest.sinks.lake.reading import check_table

    if "://" not in place and not (path / "_ingest").is_dir():
        hint = "name the hub's folder (it holds meta.properties) or a sink's url (it holds _ingest)"
        raise UsageError(f"{place} is neither a data folder nor a lake table", hint=hint)
    with nullcontext() if data is None else open_hub(data, writable=False) as hub:
        found = check_table(place, Path.cwd(), repair=repair, storage_options=options, hub=hub)
    return [finding.as_dict() for finding in found]
