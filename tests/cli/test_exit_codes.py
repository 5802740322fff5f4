"""Like faults end alike, whatever the command: 0 done, 1 failed, 2 usage, 78 bad configuration."""

from __future__ import annotations

import shlex
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from shop import run_shop

from ingest.cli.main import COMMANDS, main

DONE = [
    "validate pipeline.yaml",
    "preview pipeline.yaml",
    "test pipeline.yaml",
    "status pipeline.yaml",
    "status --data data",
    "status never.yaml",
    "topics list --data data",
    "topics describe events --data data",
    "topics create more --data data",
    "topics create first --data not-yet",
    "topics alter events --partitions 2 --data data",
    "topics delete events --yes --data data",
    "groups list --data data",
    "groups describe shop.lake --data data",
    "groups reset shop.lake --topic events --to earliest --data data",
    "groups reset fresh --create --topic events --to 1 --data data",
    "groups delete shop.lake --data data",
    "produce events --data data",
    "consume events --data data",
    "sql 'SELECT * FROM events' --data data",
    "sql \"SELECT * FROM 'lake'\"",
    "dead-letters list pipeline.yaml",
    "dead-letters show pipeline.yaml",
    "dead-letters list never.yaml",
    "positions show pipeline.yaml",
    "positions show never.yaml",
    "positions reset pipeline.yaml web --yes",
    "connectors list",
    "connectors describe file",
    "connectors reference",
    "check data",
    "check lake",
    "compact lake",
    "compact pipeline.yaml",
    "compact pipeline.yaml --plan",
    "merge --new-data lake --onto lake --merge-key user_id --target-dir merged",
    "export --connect sqlite:///shop.db --table visits --export-dir rows.csv --data data",
    "schema",
    "completion bash",
    "init made",
    "init --list",
    "run pipeline.yaml --until-caught-up --quiet",
    "--help",
    "--version",
]
FAILED = [
    "sql 'SELECT 1 / (user_id - user_id) FROM events' --data data",
    "test failing.yaml",
    "check damaged",
    "capture list sqlite:///nowhere.db",
    "tables --connect sqlite:///nowhere.db",
    "databases --connect sqlite:///nowhere.db",
    "eval --connect sqlite:///nowhere.db -e 'SELECT 1'",
    "import --connect sqlite:///nowhere.db --table t --target-dir out",
    "export --connect sqlite:///nowhere.db --table t --export-dir rows.csv",
    "export --connect sqlite:///shop.db --table visits --export-dir nowhere",
    "run blocked.yaml --until-caught-up --quiet",
]
USAGE = {
    "no command": "",
    "an unknown command": "ruin",
    "an unknown option": "run pipeline.yaml --fast",
    "an unknown subcommand": "topics make x",
    "an argument too few": "consume",
    "an argument too many": "consume events more",
    "a value out of range": "preview pipeline.yaml --rows 0",
    "a setting without a value": "topics create x --config retention.ms --data data",
    "an unknown topic setting": "topics create x --config retention.mss=1 --data data",
    "a topic name that cannot be": "topics create a/b --data data",
    "a topic name to produce to that cannot be": "produce a/b --data data",
    "a topic that is there already": "topics create events --data data",
    "fewer partitions": "topics alter parted --partitions 1 --data data",
    "nothing to alter": "topics alter events --data data",
    "no data folder to list": "topics list --data nowhere",
    "no data folder to alter": "topics alter events --partitions 2 --data nowhere",
    "no data folder to consume": "consume events --data nowhere",
    "no data folder of groups": "groups list --data nowhere",
    "no data folder to tell of": "status --data nowhere",
    "an empty folder for a data folder": "topics list --data empty",
    "a data folder that is a file": "topics list --data pipeline.yaml",
    "a topic to describe that is not there": "topics describe evnts --data data",
    "a topic to alter that is not there": "topics alter evnts --partitions 2 --data data",
    "a topic to delete that is not there": "topics delete evnts --yes --data data",
    "a topic to consume that is not there": "consume evnts --data data",
    "a topic to query that is not there": "sql 'SELECT * FROM evnts' --data data",
    "a topic to query where no data folder is": "sql 'SELECT * FROM evnts' --data nowhere",
    "a topic to reset that is not there": "groups reset shop.lake --topic evnts --to latest --data data",
    "a topic of the hub itself": "topics delete _ingest_positions --yes --data data",
    "lines for a topic of the hub itself": "produce _ingest_positions --data data",
    "a group to describe that is not there": "groups describe shop.lak --data data",
    "a group to reset that is not there": "groups reset shop.lak --topic events --to latest --data data",
    "a group to delete that is not there": "groups delete shop.lak --data data",
    "a partition to consume that is not there": "consume events --partition 7 --data data",
    "a partition to produce to that is not there": "produce events --partition 7 --data data",
    "an offset that is not there": "consume events --from 999 --data data",
    "an offset to reset to that is not there": "groups reset shop.lake --topic events --to 999 --data data",
    "a time that is none": "consume events --from tomorrow --data data",
    "a lake table to query that is not there": "sql \"SELECT * FROM 'nowhere'\"",
    "a lake table to check that is not there": "check nowhere",
    "a lake table to compact that is not there": "compact nowhere",
    "a size that is none": "compact lake --below huge",
    "a URL to compact that cannot be": "compact nosuch://x",
    "a URL to query that cannot be": "sql \"SELECT * FROM 'nosuch://x'\"",
    "a URL to check that cannot be": "check nosuch://x",
    "a storage option that is none": "check lake --option fast",
    "a storage option with an unset variable": "check lake --option 'key=${NOT_SET_ANYWHERE}'",
    "no table to export to": "export --connect sqlite:///shop.db --export-dir rows.csv",
    "a column that is not there": "export --connect sqlite:///shop.db --table visits --export-dir rows.csv --columns x",
    "nothing to export": "export --connect sqlite:///shop.db --table visits --export-dir empty",
    "no table to import": "import --connect sqlite:///nowhere.db --target-dir out",
    "a database that is none": "tables --connect nowhere",
    "a table to merge that is not there": "merge --new-data nowhere --onto lake --merge-key a --target-dir merged",
    "a key to merge by that is not there": "merge --new-data lake --onto lake --merge-key nope --target-dir merged",
    "a folder to merge into that is there": "merge --new-data lake --onto lake --merge-key a --target-dir lake",
    "SQL that is none": "sql SELEC",
    "SQL that writes": "sql \"COPY (SELECT 1) TO 'out.csv'\"",
    "a source to preview that is not there": "preview pipeline.yaml --source wbe",
    "a source to reset that is not there": "positions reset pipeline.yaml wbe --yes",
    "a sink to reset": "positions reset pipeline.yaml lake --yes",
    "a stream that is not there": "positions reset pipeline.yaml web --stream x --yes",
    "a position that is none": "positions set pipeline.yaml web x nonsense",
    "positions of a pipeline that was never run": "positions reset never.yaml web --yes",
    "a question that nobody answers": "topics delete events --data data",
    "a connector that is not there": "connectors describe flie",
    "a template that is not there": "init made --template acess-log",
    "a file that is there already": "init .",
    "an unknown shell": "completion tcsh",
}
CONFIG = {
    "a pipeline file that is not there": "nowhere.yaml",
    "a folder for a pipeline file": "empty",
    "a pipeline file with a mistake": "broken.yaml",
}
ON_FILES = [
    "validate {}",
    "run {} --until-caught-up",
    "preview {}",
    "test {}",
    "status {}",
    "dead-letters list {}",
    "dead-letters show {}",
    "positions show {}",
    "positions set {} web x '{{}}'",
    "positions reset {} web --yes",
]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline that has run, and others that cannot."""
    here = run_shop(tmp_path_factory.mktemp("shop")).parent
    assert main(["topics", "create", "parted", "--partitions", "2", "--data", f"{here}/data"]) == 0
    text = (here / "pipeline.yaml").read_text()
    (here / "never.yaml").write_text(text.replace("hub: ./data", "hub: ./never"))
    (here / "broken.yaml").write_text(text.replace("paths:", "pathz:"))
    (here / "failing.yaml").write_text(text + "tests: [{name: wrong, input: ['{\"a\": 1}'], output: [{a: 2}]}]\n")
    (here / "blocked.yaml").write_text(text.replace("./lake", "./pipeline.yaml/lake").replace("./data", "./other"))
    (here / "empty").mkdir()
    (here / "rows.csv").write_text("id,name\n1,Ann\n")
    with closing(sqlite3.connect(here / "shop.db")) as database:
        database.execute("CREATE TABLE visits (id integer PRIMARY KEY, name text)")
    shutil.copytree(here / "lake", here / "damaged")
    next((here / "damaged").rglob("*.parquet")).write_bytes(b"PAR1")
    return here


def standing_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(folder)
    with open("/dev/null") as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        yield


@pytest.fixture
def copy(untouched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """To change things in."""
    shutil.copytree(untouched, tmp_path / "here")
    yield from standing_in(tmp_path / "here", monkeypatch)


@pytest.fixture
def original(untouched: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For commands that change nothing."""
    yield from standing_in(untouched, monkeypatch)


def code_of(command: str) -> int:
    return main(shlex.split(command))


@pytest.mark.parametrize("command", DONE)
def test_what_is_done_exits_0(command: str, copy: None) -> None:
    assert code_of(command) == 0


@pytest.mark.parametrize("command", FAILED)
def test_what_failed_exits_1(command: str, copy: None) -> None:
    assert code_of(command) == 1


@pytest.mark.parametrize("fault", USAGE)
def test_a_mistake_on_the_command_line_exits_2_and_changes_nothing(
    fault: str, original: None, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(Path.cwd().iterdir())
    assert code_of(USAGE[fault]) == 2
    said = capsys.readouterr()
    assert said.out == "", "talk goes to stderr"
    assert said.err
    assert sorted(Path.cwd().iterdir()) == before


@pytest.mark.parametrize("fault", CONFIG)
@pytest.mark.parametrize("command", ON_FILES)
def test_a_pipeline_file_that_is_wrong_exits_78(command: str, fault: str, original: None) -> None:
    assert code_of(command.format(CONFIG[fault])) == 78


@pytest.mark.parametrize("command", ["compact broken.yaml"])
def test_a_mistake_in_a_file_that_may_stand_for_a_table_exits_78(command: str, original: None) -> None:
    assert code_of(command) == 78


def test_every_command_stands_in_these_tables() -> None:
    shown = {line.split()[0] for line in [*DONE, *FAILED, *USAGE.values(), *ON_FILES] if line}
    assert set(COMMANDS) <= shown
