"""What ``scripts/environment`` says of the compiled kernels, and when it installs again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "environment"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with two kernels: one compiled, one not."""
    for path in ("pyproject.toml", "setup.py", "ingest/__init__.py", "ingest/wire/__init__.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    for name in ("_fast", "_slow"):
        (tmp_path / f"ingest/wire/{name}.pyx").write_text("")
    (tmp_path / "ingest/wire/_shared.pxd").write_text("")
    (tmp_path / "ingest/wire/_fast.py").write_text("")
    return tmp_path


def run(tree: Path, command: str, **variables: str) -> str:
    bash = shutil.which("bash") or "bash"
    environment = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", **variables}
    done = subprocess.run(
        [bash, "-c", f". {SCRIPT}; {command}"], cwd=tree, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_without_a_compiler_the_kernels_that_are_missing_are_named(tree: Path) -> None:
    said = run(tree, f"PATH=/nowhere; tell_of_kernels {sys.executable}")
    assert "no C compiler was found" in said
    assert said.endswith("the slower Python twins run for: ingest.wire._slow\n")


def test_with_a_compiler_it_is_the_compilation_that_failed(tree: Path) -> None:
    compiler = tree / "my-cc"
    compiler.write_text("#!/bin/sh\nexit 1\n")
    compiler.chmod(0o755)
    said = run(tree, f"PATH=/nowhere; tell_of_kernels {sys.executable}", CC=f"{compiler} -O2")
    assert f"{compiler} failed to compile 1 of 2 kernels" in said
    assert "no C compiler" not in said


def test_where_all_are_compiled_nothing_is_said(tree: Path) -> None:
    (tree / "ingest/wire/_slow.py").write_text("")
    assert run(tree, f"tell_of_kernels {sys.executable}") == ""


def test_what_is_not_a_terminal_gets_no_colours(tree: Path) -> None:
    assert run(tree, "say hello") == "==> hello\n"


@pytest.mark.parametrize("path", ["pyproject.toml", "ingest/wire/_slow.pyx", "ingest/wire/_shared.pxd"])
def test_a_change_of_what_the_project_is_made_from_installs_it_again(path: str, tree: Path) -> None:
    before = run(tree, "made_from")
    (tree / path).write_text("changed")
    assert run(tree, "made_from") != before
