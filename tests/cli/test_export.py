"""``ingest export``: Sqoop's options, files of every kind into real databases, once, through kills and refusals."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake import Lake

from ingest.cli.main import main

ROWS = 2_000
URL = "sqlite:///shop.db"
WORDS = [f"w,{number}\t'é'\\ \n" if number % 5 else None for number in range(ROWS)]


def execute(folder: Path, *statements: str) -> list[Any]:
    found: list[Any] = []
    with closing(sqlite3.connect(folder / "shop.db")) as database, database:
        for statement in statements:
            found = database.execute(statement).fetchall()
    return found


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which commands run: a database with a full table and an empty one of the same columns."""
    monkeypatch.chdir(tmp_path)
    columns = "(id INTEGER PRIMARY KEY, word TEXT, price REAL)"
    execute(tmp_path, f"CREATE TABLE orders {columns}", f"CREATE TABLE target {columns}")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database, database:
        rows = [(number, word, None if number % 7 else number / 8) for number, word in enumerate(WORDS)]
        database.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    return tmp_path


def run(*arguments: str) -> int:
    return main(["export", "--connect", URL, "--quiet", "--table", "target", *arguments])


def imported(*arguments: str) -> None:
    given = ["--connect", URL, "--table", "orders", "--target-dir", "out", "--quiet"]
    assert main(["import", *given, *arguments]) == 0


def target(folder: Path) -> list[Any]:
    return execute(folder, "SELECT * FROM target ORDER BY id")


@pytest.mark.parametrize("form", [(), ("--as-textfile",), ("--as-avrodatafile",), ("--as-textfile", "-z")])
def test_what_was_imported_goes_back_as_it_was(shop: Path, form: tuple[str, ...]) -> None:
    imported(*form)
    assert run("--export-dir", "out") == 0
    assert target(shop) == execute(shop, "SELECT * FROM orders ORDER BY id")


def test_json_lines_and_csv_are_known_by_their_names(shop: Path) -> None:
    for folder in ("json", "csv"):
        (shop / folder).mkdir()
    rows = [{"id": number, "word": f"{number}"} for number in range(10)]
    (shop / "json" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (shop / "csv" / "a.csv").write_text("id,word\n10,ten\n11,\n")
    assert run("--export-dir", "json") == 0
    assert run("--export-dir", "csv") == 0
    assert [row[:2] for row in target(shop)] == [*((row["id"], row["word"]) for row in rows), (10, "ten"), (11, None)]


def test_the_same_command_takes_what_is_new_and_again_takes_all(shop: Path) -> None:
    imported()
    assert run("--export-dir", "out") == 0
    assert run("--export-dir", "out") == 0
    assert len(target(shop)) == ROWS
    pq.write_table(pa.table({"id": [ROWS], "word": ["new"]}), shop / "out" / "new.parquet")
    assert run("--export-dir", "out") == 0
    assert len(target(shop)) == ROWS + 1
    execute(shop, "DELETE FROM target")
    assert run("--export-dir", "out", "--again") == 0
    assert len(target(shop)) == ROWS + 1


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, newline="")


def test_text_in_sqoops_delimiters(shop: Path) -> None:
    write(shop, "in/part-m-00000", "1\x01'a\x01b\\|'\x01|2\x01null\x01-|3\x01\x011.5|")
    options = ["--input-fields-terminated-by", "\\001", "--input-lines-terminated-by", "|"]
    options += ["--input-optionally-enclosed-by", "\\'", "--input-escaped-by", ""]
    options += ["--input-null-string", "null", "--input-null-non-string", "-"]
    assert run("--export-dir", "in", *options, "--validate", "-m", "4", "--batch") == 0
    assert target(shop) == [(1, "a\x01b\\|", None), (2, None, None), (3, "", 1.5)]


def test_columns_name_those_of_a_text_and_choose_among_those_of_others(shop: Path) -> None:
    write(shop, "in/part-m-00000", "one,1\n")
    assert run("--export-dir", "in", "--columns", "word,id") == 0
    imported("--where", "id BETWEEN 7 AND 8")
    assert run("--export-dir", "out", "--columns", "id,price") == 0
    assert target(shop) == [(1, "one", None), (7, None, 0.875), (8, None, None)]


def test_rows_are_changed_by_key_or_added(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    execute(shop, "INSERT INTO target VALUES (1, 'old', 1.0)")
    write(shop, "in/rows.jsonl", '{"id": 1, "word": "new"}\n{"id": 2, "word": "new"}\n')
    assert run("--export-dir", "in", "--update-key", "id") == 0
    assert target(shop) == [(1, "new", 1.0)]
    assert "1 dead letters" in capsys.readouterr().err
    assert run("--export-dir", "in", "--update-key", "id", "--update-mode", "allowinsert") == 0
    assert target(shop) == [(1, "new", 1.0), (2, "new", None)]
    write(shop, "in/rows.jsonl", '{"id": 2, "word": "newer"}\n')
    assert run("--export-dir", "in", "--update-key", "id", "--update-mode", "allowinsert") == 0
    assert target(shop) == [(1, "new", 1.0), (2, "newer", None)]


def test_a_file_that_was_overwritten_is_not_added_again_in_silence(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(shop, "in/rows.jsonl", '{"id": 1, "word": "a"}\n')
    assert run("--export-dir", "in") == 0
    write(shop, "in/rows.jsonl", '{"id": 1, "word": "a"}\n{"id": 2, "word": "b"}\n')
    assert run("--export-dir", "in") == 0
    assert "1 dead letters" in capsys.readouterr().err
    assert target(shop) == [(1, "a", None)]


def test_rows_wait_in_a_staging_table_until_all_are_there(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(shop, "in/a.jsonl", '{"id": 1, "word": "a"}\n')
    write(shop, "in/b.jsonl", '{"id": "no number", "word": "b"}\n')
    staged = ("--export-dir", "in", "--staging-table", "waiting")
    execute(shop, "CREATE TABLE waiting AS SELECT * FROM target", "INSERT INTO waiting VALUES (9, 'whose?', 1.0)")
    assert run(*staged, "--strict") == 1
    (shop / "in" / "b.jsonl").unlink()
    assert run(*staged) == 1
    assert "has rows that this sink has not written" in capsys.readouterr().err
    assert target(shop) == []
    assert run(*staged, "--clear-staging-table", "--validate") == 2
    assert "begun without --validate" in capsys.readouterr().err
    assert run(*staged, "--clear-staging-table") == 0
    assert target(shop) == [(1, "a", None)]
    assert execute(shop, "SELECT * FROM waiting") == []


@pytest.mark.parametrize("strict", [False, True])
def test_what_the_table_refuses_is_a_dead_letter_or_stops(
    shop: Path, strict: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(shop, "INSERT INTO target VALUES (1, 'old', 1.0)")
    write(shop, "in/part-0", "1,doubled,1\n2,fine,2\nthree,no number,3\n4,too,many,4\n5,fine,5\n")
    code = run("--export-dir", "in", *(("--strict",) if strict else ()))
    said = capsys.readouterr().err
    if strict:
        assert code == 1
        assert target(shop) == [(1, "old", 1.0)]
        assert "4 values for 3 columns" in said
        return
    assert code == 0
    assert "2 out" in said
    assert "3 dead letters" in said
    assert target(shop) == [(1, "old", 1.0), (2, "fine", 2.0), (5, "fine", 5.0)]
    (file,) = (shop / "ingest-data" / "exports").glob("*.yaml")
    assert main(["dead-letters", "list", str(file)]) == 0
    told = capsys.readouterr().out
    for reason in ("UNIQUE constraint failed", "does not hold", "4 values for 3 columns"):
        assert reason in told


def test_validate_compares_what_came_with_the_files(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    execute(shop, "INSERT INTO target VALUES (-1, 'old', 1.0)")
    imported()
    assert run("--export-dir", "out", "--validate") == 0
    assert f"{ROWS:,} rows of the files are in the table, checksum" in capsys.readouterr().err
    pq.write_table(pa.table({"id": [ROWS], "word": ["new"]}), shop / "out" / "new.parquet")
    assert run("--export-dir", "out", "--validate") == 0
    execute(shop, "UPDATE target SET word = 'other' WHERE id = 5")
    assert run("--export-dir", "out", "--validate") == 1
    assert "the checksums are" in capsys.readouterr().err
    execute(shop, "DELETE FROM target WHERE id = 5")
    assert run("--export-dir", "out", "--validate") == 1
    assert "2,001 rows are in the files, and 2,000 more than before" in capsys.readouterr().err


def test_a_saved_export_is_a_pipeline_file_without_the_password(shop: Path) -> None:
    imported()
    arguments = ("--export-dir", "out", "--username", "writer", "--password", "hunter2", "--save-as", "back.yaml")
    assert run(*arguments) == 0
    text = (shop / "back.yaml").read_text()
    assert "hunter2" not in text
    assert "${INGEST_PASSWORD}" in text
    (shop / "back.yaml").write_text(text.replace("password: ${INGEST_PASSWORD}", ""))
    assert main(["validate", "back.yaml"]) == 0
    assert main(["run", "back.yaml", "--until-caught-up", "--quiet"]) == 0
    assert len(target(shop)) == ROWS
    assert run(*arguments) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--export-dir", "nowhere"), 1, "is not there"),
        (("--export-dir", "empty"), 2, "holds nothing to export"),
        (("--export-dir", "mixed"), 2, "--format says what all of them are"),
        (("--export-dir", "in", "--table", "targte"), 1, "has no table targte"),
        (("--export-dir", "in", "--columns", "id,wrod"), 2, "has no column wrod"),
        (("--export-dir", "strays"), 2, "have a column wrod"),
        (("--export-dir", "in", "--columns", "id"), 2, "3 values for 1 columns"),
        (("--export-dir", "in", "--table", "bytes"), 2, "no one way to write them as text"),
        (("--export-dir", "in", "--update-mode", "allowinsert"), 2, "needs --update-key"),
        (("--export-dir", "in", "--update-key", "no"), 2, "has no column no"),
        (("--export-dir", "in", "--update-key", "id", "--staging-table", "x"), 2, "--staging-table goes with"),
        (("--export-dir", "in", "--update-key", "id", "--validate"), 2, "--validate compares"),
        (("--export-dir", "in", "--clear-staging-table"), 2, "needs --staging-table"),
        (("--export-dir", "in", "--format", "csv", "--input-null-string", "x"), 2, "for --format text"),
        (("--export-dir", "in", "--input-escaped-by", ","), 2, "same character"),
        (("--export-dir", "in", "--connect", "oracle://x/y"), 2, "is not known"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    shop: Path, arguments: tuple[str, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(shop, "CREATE TABLE bytes (id INTEGER, word TEXT, content BLOB)")
    (shop / "empty").mkdir()
    write(shop, "empty/_SUCCESS", "")
    write(shop, "mixed/a.parquet", "")
    write(shop, "mixed/b.avro", "")
    write(shop, "in/part-m-00000", "1,one,1\n")
    write(shop, "strays/a.jsonl", '{"id": 1, "wrod": "x"}\n')
    assert run(*arguments) == code
    told = capsys.readouterr().err
    assert said in told
    assert not (shop / "ingest-data").exists()


def export_of_lake(*arguments: str) -> int:
    return run("--export-dir", "lake", *arguments)


def ids(folder: Path) -> list[int]:
    return [number for (number,) in execute(folder, "SELECT id FROM target ORDER BY id")]


@pytest.fixture
def lake(shop: Path) -> Lake:
    execute(shop, "DROP TABLE target", "CREATE TABLE target (id INTEGER, part INTEGER)")
    lake = Lake(shop)
    task = lake.open(partition_by=["part"])
    for start in range(0, 40, 10):
        lake.write(task, start, [{"id": number, "part": number % 2} for number in range(start, start + 10)])
    return lake


def test_a_lake_table_that_was_compacted_has_each_row_once(lake: Lake, shop: Path) -> None:
    assert main(["compact", "lake"]) == 0
    assert export_of_lake() == 0
    assert ids(shop) == list(range(40))
    assert execute(shop, "SELECT count(*) FROM target WHERE part = id % 2") == [(40,)]
    assert export_of_lake("--validate") == 2  # begun without
    assert export_of_lake() == 0
    assert ids(shop) == list(range(40))


def test_a_table_that_was_compacted_since_is_not_added_again(
    lake: Lake, shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export_of_lake() == 0
    assert main(["compact", "lake"]) == 0
    assert export_of_lake() == 2
    assert "was compacted or merged since its rows were exported" in capsys.readouterr().err
    assert ids(shop) == list(range(40))
    execute(shop, "DELETE FROM target", "CREATE UNIQUE INDEX by_id ON target (id)")
    assert export_of_lake("--again") == 0
    assert ids(shop) == list(range(40))
    by_key = ("--update-key", "id", "--update-mode", "allowinsert")
    assert export_of_lake(*by_key) == 0
    assert main(["compact", "lake"]) == 0
    assert export_of_lake(*by_key) == 0
    assert ids(shop) == list(range(40))


def test_a_table_that_is_compacted_meanwhile_is_told(
    lake: Lake, shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ingest.cli import run as runs

    whole = runs.run_all

    def compacted_at_the_end(*given: Any, **named: Any) -> Any:
        outcome = whole(*given, **named)
        assert main(["compact", "lake"]) == 0
        return outcome

    monkeypatch.setattr(runs, "run_all", compacted_at_the_end)
    assert export_of_lake() == 1
    assert "while it was exported" in capsys.readouterr().err
    assert export_of_lake() == 2
    assert ids(shop) == list(range(40))


def test_columns_in_the_names_of_folders_are_columns(shop: Path) -> None:
    write(shop, "in/word=a%2Fb/price=1.5/part-0", "1\n2\n")
    write(shop, "in/word=a/price=__HIVE_DEFAULT_PARTITION__/part-1", "3\n")
    assert run("--export-dir", "in", "--validate") == 0
    assert target(shop) == [(1, "a/b", 1.5), (2, "a/b", 1.5), (3, "a", None)]


def test_a_file_beside_the_folders_of_a_partitioned_table_is_told(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(shop, "in/price=1.5/a.jsonl", '{"id": 1, "word": "a"}\n')
    write(shop, "in/stray.jsonl", '{"id": 2, "word": "b"}\n')
    assert run("--export-dir", "in") == 0
    assert "1 dead letters" in capsys.readouterr().err
    assert target(shop) == [(1, "a", 1.5)]
