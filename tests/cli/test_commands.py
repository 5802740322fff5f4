"""Every command teaches, and the program answers at once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ingest.cli.main import COMMANDS, cli, main

ROOT = Path(__file__).parents[2]


def commands() -> list[tuple[str, click.Command]]:
    """All commands and their subcommands, by full name."""
    context = click.Context(cli)
    found = []
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None, name
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {sub}", command.commands[sub]) for sub in command.commands]
    return found


@pytest.mark.parametrize(("name", "command"), commands())
def test_every_command_and_option_says_what_it_does(name: str, command: click.Command) -> None:
    assert command.help, name
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.name}"


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_summary_of_a_command_is_in_the_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = " ".join(capsys.readouterr().out.split())
    assert f" {name} {COMMANDS[name][1]}" in lines
    assert main([name, "--help"]) == 0
    assert "Usage: ingest" in capsys.readouterr().out


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ruin"]) == 2
    assert "Did you mean run?" in capsys.readouterr().err


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from ingest.cli.main import main; main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "'ingest.cli.main'" in done.stderr, "the modules were printed"
    heavy = ("pyarrow", "numpy", "pydantic", "datafusion", "duckdb", "fsspec", "watchdog", "rich")
    assert not [name for name in heavy if f"'{name}'" in done.stderr]


def test_the_module_runs_as_the_program_does() -> None:
    done = subprocess.run([sys.executable, "-m", "ingest", "--version"], capture_output=True, text=True, check=True)
    assert re.match(r"ingest, version \d+\.\d+\.\d+", done.stdout)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "_INGEST_COMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [("ingest to", "topics"), ("ingest topics de", "describe"), ("ingest run --un", "--until-caught-up")],
)
def test_a_shell_completes_commands_and_options(words: str, expected: str) -> None:
    asked = {"_INGEST_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run([sys.executable, "-m", "ingest"], capture_output=True, text=True, env={**os.environ, **asked})
    assert f"plain,{expected}" in done.stdout.splitlines()


def test_commands_that_the_readme_shows_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"(?:^ +|`)ingest ([a-z-]+)", text, re.MULTILINE))
    assert {"init", "run", "sql"} <= shown
    assert shown <= set(COMMANDS)
