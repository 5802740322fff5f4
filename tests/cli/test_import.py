"""``ingest import`` and its neighbours: Sqoop's options, real databases, targets that hold something, no passwords."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from servers.postgres import PostgresServer, postgres_server

from ingest.cli.import_check import of_target
from ingest.cli.import_command import import_
from ingest.cli.import_files import of_files
from ingest.cli.import_options import Asked, asked_for
from ingest.cli.main import main

INGEST = [sys.executable, "-m", "ingest"]
ROWS = 20_000
URL = "sqlite:///shop.db"


def make(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "shop.db")) as database, database:
        for statement in statements:
            database.execute(statement)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which commands run, with a database."""
    monkeypatch.chdir(tmp_path)
    make(
        tmp_path, "CREATE TABLE orders (id INTEGER PRIMARY KEY, word TEXT, day TEXT)", "CREATE TABLE empty (id INTEGER)"
    )
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
        rows = [(number, f"w,{number}\t'é'", f"2026-01-{1 + number % 28:02}") for number in range(ROWS)]
        database.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    return tmp_path


def run(*arguments: str) -> int:
    return main(["import", "--connect", URL, "--quiet", *arguments])


def asked_of(*arguments: str) -> Asked:
    given = import_.make_context("import", ["--connect", URL, *arguments]).params
    return asked_for({name: given[name] for name in Asked.__slots__})


def found(target: Path, what: str = "count(*), count(DISTINCT id), sum(id)") -> tuple[object, ...]:
    rows = duckdb.sql(f"SELECT {what} FROM read_parquet('{target}/*.parquet', union_by_name = true)").fetchall()
    return tuple(rows[0])


ALL = (ROWS, ROWS, ROWS * (ROWS - 1) // 2)


def test_a_table_comes_whole_and_a_target_that_holds_something_is_refused(shop: Path) -> None:
    assert run("--table", "orders", "--target-dir", "out", "--validate") == 0
    assert found(shop / "out") == ALL
    assert run("--table", "orders", "--target-dir", "out") == 2
    assert found(shop / "out") == ALL


def test_append_adds_and_delete_begins_anew(shop: Path) -> None:
    assert run("--table", "orders", "--target-dir", "out") == 0
    assert run("--table", "orders", "--target-dir", "out", "--append") == 0
    assert found(shop / "out", "count(*), count(DISTINCT id)") == (2 * ROWS, ROWS)
    make(shop, "DELETE FROM orders WHERE id > 9")
    assert run("--table", "orders", "--target-dir", "out", "--delete-target-dir", "--validate") == 0
    assert found(shop / "out") == (10, 10, 45)


def test_a_folder_that_much_hangs_on_is_not_emptied(shop: Path) -> None:
    assert run("--table", "orders", "--target-dir", ".", "--delete-target-dir") == 2
    assert (shop / "shop.db").exists()


def test_columns_where_splits_and_queries_select(shop: Path) -> None:
    assert (
        run("--table", "orders", "--columns", "day,id", "--where", "id < 5", "--split-by", "day", "--target-dir", "a")
        == 0
    )
    assert found(shop / "a", "count(*), max(id), max(day)") == (5, 4, "2026-01-05")
    query = "SELECT id, upper(word) AS word FROM orders WHERE $CONDITIONS AND id < 3"
    assert run("--query", query, "--target-dir", "b", "--validate") == 0
    assert found(shop / "b", "count(*), min(word)") == (3, "W,0\t'é'")


def test_all_tables_each_into_a_folder_of_its_name(shop: Path) -> None:
    make(shop, "CREATE TABLE left_out (id INTEGER)", "CREATE TABLE odd AS SELECT 1 AS id")
    arguments = ("--all-tables", "--exclude-tables", "left_out", "--warehouse-dir", "lake", "--validate")
    assert run(*arguments) == 0
    assert found(shop / "lake" / "orders") == ALL
    assert found(shop / "lake" / "odd", "sum(id)") == (1,)
    assert not (shop / "lake" / "left_out").exists()


def test_incremental_imports_go_on_with_what_is_new(shop: Path) -> None:
    arguments = ("--table", "orders", "--incremental", "append", "--check-column", "id", "--target-dir", "out")
    assert run(*arguments) == 0
    assert found(shop / "out") == ALL
    make(shop, f"INSERT INTO orders VALUES ({ROWS}, 'new', '2026-02-01')")
    assert run(*arguments) == 0
    assert run(*arguments) == 0
    assert found(shop / "out", "count(*), count(DISTINCT id)") == (ROWS + 1, ROWS + 1)


def test_last_value_begins_above_it(shop: Path) -> None:
    arguments = ("--incremental", "append", "--check-column", "id", "--last-value", str(ROWS - 3))
    assert run("--table", "orders", *arguments, "--target-dir", "out") == 0
    assert found(shop / "out", "count(*), min(id)") == (2, ROWS - 2)


def test_text_as_hive_and_sqoop_write_it(shop: Path) -> None:
    make(shop, "INSERT INTO orders VALUES (-1, NULL, 'a,b')")
    assert run("--table", "orders", "--where", "id < 1", "--as-textfile", "--target-dir", "a") == 0
    text = "".join(path.read_text() for path in (shop / "a").iterdir() if path.is_file())
    assert sorted(text.splitlines()) == ["-1,\\N,a\\,b", "0,w\\,0\t'é',2026-01-01"]
    options = ("--as-textfile", "--fields-terminated-by", "\\001", "--null-string", "null")
    assert run("--table", "orders", "--where", "id = -1", *options, "--target-dir", "b") == 0
    text = "".join(path.read_text() for path in (shop / "b").iterdir() if path.is_file())
    assert text == "-1\x01null\x01a,b\n"


def test_avro_files(shop: Path) -> None:
    import fastavro

    assert run("--table", "orders", "--where", "id < 2", "--as-avrodatafile", "--target-dir", "out") == 0
    (path,) = (path for path in (shop / "out").iterdir() if path.is_file())
    with path.open("rb") as file:
        assert [row["id"] for row in fastavro.reader(file)] == [0, 1]


def test_a_saved_import_is_a_pipeline_file_without_the_password(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--username", "reader", "--password", "hunter2", "--table", "orders", "--target-dir", "out"]
    assert run(*arguments, "--save-as", "orders.yaml") == 0
    text = (shop / "orders.yaml").read_text()
    assert "hunter2" not in text
    assert "${INGEST_PASSWORD}" in text
    assert run(*arguments, "--save-as", "orders.yaml") == 2
    (shop / "orders.yaml").write_text(text.replace("password: ${INGEST_PASSWORD}", "").replace("username: reader", ""))
    assert main(["run", "orders.yaml", "--until-caught-up", "--quiet"]) == 0
    assert found(shop / "out") == ALL


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--table", "orders"),
        ("--table", "orders", "--query", "SELECT 1", "--target-dir", "x"),
        ("--table", "orders", "--target-dir", "x", "--warehouse-dir", "y"),
        ("--all-tables", "--target-dir", "x"),
        ("--table", "orders", "--target-dir", "x", "--append", "--delete-target-dir"),
        ("--table", "orders", "--target-dir", "x", "--incremental", "append"),
        ("--table", "orders", "--target-dir", "x", "--append", "--validate"),
        ("--query", "SELECT 1", "--warehouse-dir", "x"),
        ("--table", "o*", "--target-dir", "x", "--boundary-query", "SELECT 1"),
    ],
)
def test_options_that_do_not_go_together_are_usage_errors(shop: Path, arguments: tuple[str, ...]) -> None:
    assert run(*arguments) == 2
    assert not (shop / "ingest-data").exists()


def test_validate_finds_a_row_that_was_changed(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--table", "orders", "--target-dir", "out", "--validate") == 0
    (path,) = (shop / "out").glob("*.parquet")
    rows = pq.read_table(path).to_pylist()
    rows[7]["word"] = "another"
    schema = pq.read_schema(path)
    before = of_target(str(shop / "out"), schema)
    (shop / "changed").mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema), shop / "changed" / "rows.parquet")
    after = of_target(str(shop / "changed"), schema)
    assert before.rows == after.rows
    assert before != after


@pytest.mark.parametrize("form", [("--as-textfile",), ("--as-textfile", "-z"), ("--as-avrodatafile",)])
def test_validate_reads_text_and_avro_in_the_types_of_the_source(
    shop: Path, capsys: pytest.CaptureFixture[str], form: tuple[str, ...]
) -> None:
    make(
        shop,
        'CREATE TABLE odd (id INTEGER PRIMARY KEY, number REAL, "a text" TEXT, bytes BLOB)',
        "INSERT INTO odd VALUES (1, 0.1, 'a,b' || char(10) || '\\N', x'00ff'), (2, 1e300, '', x'')",
        "INSERT INTO odd VALUES (3, -0.0, 'é', NULL), (4, NULL, NULL, NULL), (5, 9e999, '\\N', NULL)",
    )
    for table in ("odd", "orders", "empty"):
        assert run("--table", table, "--target-dir", f"out/{table}", *form, "--validate") == 0
    assert "main.odd: 5 rows in source and target" in capsys.readouterr().err


def test_validate_finds_what_is_wrong_with_a_text(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(shop, "CREATE TABLE few (id INTEGER PRIMARY KEY, word TEXT)", "INSERT INTO few VALUES (1, 'a'), (2, 'b')")
    assert run("--table", "few", "--target-dir", "out", "--as-textfile", "--validate") == 0
    asked = asked_of("--table", "few", "--target-dir", "out", "--as-textfile")
    schema = pa.schema([("id", pa.int64()), ("word", pa.string())])
    (path,) = (shop / "out").glob("import-*")
    whole, unread = of_files("out", asked, schema)
    for text, rows, bad in (("1,a\n2,c\n", 2, 0), ("1,a\nx,b\n", 1, 1), ("1,a\n", 1, 0), ("1,a\n2,b,c\n", 1, 1)):
        path.write_text(text)
        found, unread = of_files("out", asked, schema)
        assert (found == whole, found.rows, unread) == (False, rows, bad)


def test_tables_databases_and_statements(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", "--connect", URL, "--json"]) == 0
    assert '"name": "orders"' in capsys.readouterr().out
    assert main(["databases", "--connect", URL]) == 0
    assert "main" in capsys.readouterr().out
    assert main(["eval", "--connect", URL, "-e", "SELECT count(*) AS n FROM orders"]) == 0
    assert str(ROWS) in capsys.readouterr().out
    assert main(["eval", "--connect", URL, "-e", "DELETE FROM orders"]) == 1
    assert main(["eval", "--connect", URL, "-e", "SELECT nonsense"]) == 1
    assert main(["eval", "--connect", URL, "-e", "DELETE FROM orders WHERE id > 0", "--write"]) == 0
    capsys.readouterr()
    assert main(["eval", "--connect", URL, "-e", "SELECT count(*) AS n FROM orders", "--json"]) == 0
    assert capsys.readouterr().out == '{"n": 1}\n'


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


class TestPostgres:
    def test_no_output_shows_a_password(self, server: PostgresServer, tmp_path: Path) -> None:
        server.execute("CREATE ROLE guest LOGIN PASSWORD 'secret'", "CREATE TABLE t AS SELECT 1 AS id")
        server.execute("GRANT SELECT ON t TO guest")
        (tmp_path / "password").write_text("secret\n")
        (tmp_path / "wrong").write_text("hunter2\n")
        plain = server.url(user="guest")
        target = ("--table", "t", "--target-dir", "out")
        said = ""
        for number, (command, expected) in enumerate(
            [
                (("import", "--connect", plain, "--password-file", "password", *target), 0),
                (("import", "--connect", plain, "--password-file", "wrong", *target, "--append"), 1),
                (("import", "--connect", plain.replace("guest", "guest:secret"), *target, "--append", "--validate"), 2),
                (("import", "--connect", plain.replace("guest", "guest:hunter2"), *target, "--append"), 1),
                (("import", "--connect", plain + "?password=secret", *target, "--append"), 2),
                (("tables", "--connect", plain, "--password", "secret"), 0),
                (("databases", "--connect", f"jdbc:{plain}", "--password", "secret"), 0),
                (("eval", "--connect", plain, "--password", "secret", "-e", "DELETE FROM t"), 1),
            ]
        ):
            done = subprocess.run(
                [*INGEST, *command], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
            )
            assert done.returncode == expected, (number, done.stderr)
            said += done.stdout + done.stderr
        written = [path for path in tmp_path.rglob("*") if path.is_file() and path.name not in ("password", "wrong")]
        assert [path for path in written if b"secret" in path.read_bytes() or b"hunter2" in path.read_bytes()] == []
        assert "secret" not in said
        assert "hunter2" not in said

    @pytest.mark.slow
    def test_every_row_is_there_once_through_kills(self, server: PostgresServer, tmp_path: Path) -> None:
        server.execute(
            "CREATE TABLE big (id integer PRIMARY KEY, word text)",
            "INSERT INTO big SELECT n, 'word ' || n FROM generate_series(0, 299999) n",
        )
        dice = random.Random(7)
        for resume in ((), ("--resume",)):
            target = tmp_path / f"out{len(resume)}"
            command = [
                "import",
                "--connect",
                server.url(),
                "--table",
                "big",
                "--target-dir",
                str(target),
                "--wait",
                "10",
            ]
            command += ["--data", str(tmp_path / "data"), *resume, "-m", "2"]
            points = ("source.appended*2", "source.committed*1", "lake.manifest.put*1")
            deaths = sum(_killed_at(command, tmp_path, point) for point in points)
            for _ in range(3):
                deaths += _killed_after(command, tmp_path, dice.uniform(0.5, 2.5))
            assert deaths >= 3
            done = subprocess.run([*INGEST, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
            refused = done.returncode == 2 and "holds something already" in done.stderr  # a killed one had done it all
            assert done.returncode == 0 or refused, done.stderr
            assert found(target) == (300_000, 300_000, 299_999 * 150_000)


def _killed_at(command: list[str], folder: Path, point: str) -> bool:
    environment = {**os.environ, "INGEST_FAILPOINTS": point}
    return (
        subprocess.run([*INGEST, *command], cwd=folder, env=environment, capture_output=True, check=False).returncode
        == -9
    )


def _killed_after(command: list[str], folder: Path, seconds: float) -> bool:
    process = subprocess.Popen([*INGEST, *command], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait() == -9
