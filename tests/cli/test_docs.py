"""The documentation is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from ingest.cli.main import COMMANDS, cli, main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_reference_of_connectors_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connectors", "reference"]) == 0
    page = ROOT / "docs" / "guides" / "connectors.md"
    assert capsys.readouterr().out == page.read_text(), "run: ingest connectors reference > docs/guides/connectors.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_subcommand_is_documented(name: str) -> None:
    page = (ROOT / "docs" / "guides" / "commands.md").read_text()
    rows = [line for line in page.splitlines() if re.match(rf"\| `ingest {name}[ `\[]", line)]
    assert len(rows) == 1
    command = cli.get_command(click.Context(cli), name)
    subcommands = command.commands if isinstance(command, click.Group) else {}
    assert [sub for sub in subcommands if not re.search(rf"[ |]{sub}[\\ `]", rows[0])] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_that_a_page_names_exist(page: Path) -> None:
    for name in re.findall(
        r"`((?:ingest|sources|sinks|connectors|pipelines|tests|benchmarks|docs|scripts)/[\w./-]+)`", page.read_text()
    ):
        assert (ROOT / name).exists(), name
