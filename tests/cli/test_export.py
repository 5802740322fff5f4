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
