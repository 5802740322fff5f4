"""What people and programs see of the output: narrow terminals, terminals without UTF-8, readers that go away."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from shop import run_shop

from ingest.cli.main import main
from ingest.cli.table import print_table


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_shop(tmp_path_factory.mktemp("shop")).parent


def ingest(shop: Path, *arguments: str, shell: str = "", **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Runs a command in the shop's folder, under ``shell`` (as in ``exec "$@" | head -1``) if there is one."""
    command = [sys.executable, "-m", "ingest", *arguments]
    if shell:
        command = ["bash", "-c", f"set -o pipefail; {shell}", "bash", *command]
    return subprocess.run(command, cwd=shop, capture_output=True, env={**os.environ, **variables})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(rows: Sequence[Mapping[str, object]], columns: Sequence[str], width: int | None) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        out = io.StringIO() if width is None else Terminal()
        patch.setattr("sys.stdout", out)
        patch.setenv("COLUMNS", str(width))
        print_table(rows, columns)
    return out.getvalue().splitlines()


ROWS = [{"user_id": 7, "reason": "a long reason that nobody reads to its end"}, {"user_id": None, "reason": "no\nline"}]


def test_columns_stand_under_their_own_names_and_go_whole_into_a_pipe() -> None:
    assert shown(ROWS, ["user_id", "reason"], None) == [
        "user_id  reason",
        "7        a long reason that nobody reads to its end",
        "-        no line",
    ]


def test_long_values_are_cut_where_the_terminal_ends() -> None:
    assert shown(ROWS, ["user_id", "reason"], 30) == [
        "user_id  reason",
        "7        a long reason that n…",
        "-        no line",
    ]


def test_where_columns_cannot_fit_each_row_stands_upright() -> None:
    assert shown(ROWS, ["user_id", "reason"], 12) == [
        "user_id  7",
        "reason   a long reason that nobody reads to its end",
        "",
        "user_id  -",
        "reason   no line",
    ]


def test_wide_letters_take_two_places() -> None:
    assert shown([{"a": "日本", "b": 1}, {"a": "x", "b": 2}], ["a", "b"], None) == ["a     b", "日本  1", "x     2"]


def test_data_cannot_move_the_cursor() -> None:
    assert shown([{"a": "\x1b[2Jgone\x07"}], ["a"], 80) == ["a", "\\x1b[2Jgone\\x07"]


def test_a_table_without_rows_is_its_header() -> None:
    assert shown([], ["a", "b"], 80) == ["a  b"]


def test_a_long_table_is_not_held_in_memory() -> None:
    taken = 0

    def rows():  # type: ignore[no-untyped-def]
        nonlocal taken
        for taken in range(2000):
            yield {"a": taken}

    class Watching(io.StringIO):
        most = 0

        def write(self, text: str) -> int:
            self.most = max(self.most, taken - len(self.getvalue().splitlines()))
            return super().write(text)

    with pytest.MonkeyPatch.context() as patch:
        out = Watching()
        patch.setattr("sys.stdout", out)
        print_table(rows(), ["a"])
    assert len(out.getvalue().splitlines()) == 2001
    assert out.most <= 500


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_is_json_in_every_encoding(encoding: str, shop: Path) -> None:
    for command in (["consume", "events"], ["sql", "SELECT name FROM events WHERE name IS NOT NULL"]):
        done = ingest(shop, *command, "--data", "data", "--json", PYTHONIOENCODING=encoding)
        assert done.returncode == 0, done.stderr
        first = json.loads(done.stdout.decode(encoding).splitlines()[0])
        assert first.get("value", first)["name"] == "Zoë"


def test_a_table_on_a_terminal_without_the_letter_has_an_escape(shop: Path) -> None:
    done = ingest(shop, "sql", "SELECT name FROM 'lake' WHERE user_id = 1", PYTHONIOENCODING="ascii")
    assert done.stdout == b"name\nZo\\xeb\n"


@pytest.mark.parametrize(
    "command",
    ["consume events", "topics list", "schema", "connectors reference", "preview ../pipeline.yaml", "--help"],
)
def test_a_reader_that_goes_away_is_no_failure(command: str, shop: Path) -> None:
    done = ingest(shop / "data", *command.split(), shell='"$@" | true', INGEST_DATA=".")
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_run_goes_on_when_nobody_hears_it(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    for name in ("pipeline.yaml", "events.jsonl"):
        (tmp_path / "here" / name).write_bytes((shop / name).read_bytes())
    done = ingest(tmp_path / "here", "run", "pipeline.yaml", "--until-caught-up", shell='"$@" 2>&1 | true')
    assert done.returncode == 0
    assert list((tmp_path / "here" / "lake").rglob("*.parquet"))


def test_a_full_disk_behind_stdout_is_a_failure(shop: Path) -> None:
    done = ingest(shop, "topics", "list", "--data", "data", shell='"$@" > /dev/full')
    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_matter(closed: str, shop: Path) -> None:
    done = ingest(shop, "topics", "list", "--data", "data", shell=f'"$@" {closed}')
    assert (done.returncode, done.stderr) == (0, b"")
    assert ("events" in done.stdout.decode()) == (">&-" not in closed.split())


def test_talk_stays_out_of_the_data_also_when_stderr_is_closed(shop: Path) -> None:
    done = ingest(shop, "topics", "list", "--data", "nowhere", shell='"$@" 2>&-')
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.parametrize("arguments", [["--log-format", "json"], ["--log-format=json"]])
def test_machines_are_talked_to_in_json_also_of_mistakes(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for mistake in (["ruin"], ["consume"], ["consume", "t", "--data", "nowhere"], ["validate", "nowhere.yaml"]):
        assert main([*arguments, *mistake]) != 0
        (line,) = capsys.readouterr().err.splitlines()
        assert json.loads(line)["level"] == "error"
