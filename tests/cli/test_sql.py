"""``ingest sql``: what it reads, that it never writes, and how it shows what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hubs import open_hub
from s3_server import BUCKET, s3_server
from shop import run_shop

from ingest.cli.main import main
from ingest.connectors import Records


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = run_shop(tmp_path_factory.mktemp("shop")).parent
    hub = open_hub(folder / "data")
    hub.create_topic("lake_0")
    hub.append(Records(value=pa.array([b"text", b"\xff\xfe"]), topic="lake_0"), 0).result(10)
    hub.close()
    table = pa.table({
        "price": pa.array([1, None], pa.decimal128(5, 2)),
        "at": pa.array([1, 2], pa.timestamp("ns", tz="UTC")),
        "raw": [b"text", b"\xff"],
        "nested": [{"id": 1, "tags": ["a"]}, None],
    })  # fmt: skip
    pq.write_table(table, folder / "typed.parquet")
    return folder


@pytest.fixture(autouse=True)
def here(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop)
    monkeypatch.setenv("INGEST_DATA", "data")


def rows(query: str, capsys: pytest.CaptureFixture[str]) -> list[object]:
    assert main(["sql", query, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def table(query: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["sql", query]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1) TO 'out.csv'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO 'out.csv'",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION 'typed.parquet'",
        "CREATE TABLE x AS SELECT 1",
        "CREATE VIEW x AS SELECT 1",
        "SET datafusion.execution.batch_size = 1",
        "DROP TABLE x",
    ],
)
def test_what_would_write_is_refused(query: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(Path().rglob("*"))
    assert main(["sql", query]) == 2
    assert "ingest sql only reads" in capsys.readouterr().err
    assert sorted(Path().rglob("*")) == before


def test_topics_and_lake_tables_are_joined(capsys: pytest.CaptureFixture[str]) -> None:
    query = "SELECT t.name, l.price FROM events t JOIN './lake' l ON t.user_id = l.user_id ORDER BY l.price"
    assert rows(query, capsys) == [{"name": "Zoë", "price": 1.5}, {"name": None, "price": 2.5}]


def test_columns_of_one_name_are_both_shown(capsys: pytest.CaptureFixture[str]) -> None:
    query = "SELECT a.user_id, b.user_id FROM 'lake' a JOIN 'lake' b ON a.user_id + 1 = b.user_id"
    assert rows(query, capsys) == [{"user_id": 1, "user_id_2": 2}]
    assert table(query, capsys) == ["user_id  user_id_2", "1        2"]


def test_names_in_texts_and_comments_are_no_tables(capsys: pytest.CaptureFixture[str]) -> None:
    query = "SELECT 'it came from ''nowhere''' AS said -- from 'nowhere'\n/* join 'nowhere' */ FROM 'lake' LIMIT 1"
    assert rows(query, capsys) == [{"said": "it came from 'nowhere'"}]


def test_bytes_are_text_where_they_are_utf_8_and_base64_where_not(capsys: pytest.CaptureFixture[str]) -> None:
    query = 'SELECT value FROM "lake_0" ORDER BY _offset'
    assert rows(query, capsys) == [{"value": "text", "value_base64": None}, {"value": None, "value_base64": "//4="}]
    assert table(query, capsys) == ["value", "text", "base64://4="]


def test_types_are_shown_exactly(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", "SELECT * FROM 'typed.parquet'", "--json"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == (
        '{"price":1.00,"at":"1970-01-01T00:00:00.000000001Z","raw":"text","raw_base64":null,'
        '"nested":{"id":1,"tags":["a"]}}'
    )
    assert json.loads(second)["nested"] is None
    assert table("SELECT price, nested FROM 'typed.parquet'", capsys) == [
        "price  nested",
        '1.00   {"id":1,"tags":["a"]}',
        "-      -",
    ]


def test_a_table_for_people_is_cut_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", "SELECT user_id FROM 'lake' ORDER BY 1", "--limit", "1"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == ["user_id", "1"]
    assert "only the first 1 rows are shown" in said.err
    assert main(["sql", "SELECT user_id FROM 'lake'", "--limit", "2"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_a_query_that_has_its_rows_before_all_is_read_ends_cleanly(tmp_path: Path) -> None:
    """Threads that read on while the interpreter is taken down would abort it, about one time in four."""
    (tmp_path / "p.yaml").write_text("""
name: many
hub: ./data
sources: [{name: made, type: generator, kind: json, topic: made, seed: 1, count: 20000}]
sinks: [{name: many, type: files, topics: [made], url: ./table, format: json, roll: {rows: 500}}]
""")
    assert main(["run", str(tmp_path / "p.yaml"), "--until-caught-up"]) == 0
    command = [sys.executable, "-m", "ingest", "sql", "SELECT * FROM './table' LIMIT 2"]
    done = [subprocess.run(command, cwd=tmp_path, capture_output=True, check=False) for _ in range(12)]
    assert [(one.returncode, one.stderr) for one in done] == [(0, b"")] * 12


def test_records_that_cannot_be_decoded_are_told_about(capsys: pytest.CaptureFixture[str]) -> None:
    hub = open_hub(Path("data"))
    hub.append(Records(value=pa.array([b"no json"]), topic="events"), 0).result(10)
    hub.close()
    for command in (["sql", "SELECT count(*) AS n FROM events"], ["consume", "events"]):
        assert main(command) == 0
        said = capsys.readouterr().err
        assert "1 records of events cannot be decoded and are not shown" in said
        assert "ingest consume events --raw" in said


def test_storage_options_reach_the_store_and_secrets_stay_off_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import s3fs

    with s3_server() as options:
        s3fs.S3FileSystem(**options).put("typed.parquet", f"{BUCKET}/typed/part.parquet")
        monkeypatch.setenv("MY_SECRET", options["secret"])
        given = [f"key={options['key']}", "secret=${MY_SECRET}", f"endpoint_url={options['endpoint_url']}"]
        given.append(f"client_kwargs={json.dumps(options['client_kwargs'])}")
        flags = [word for option in given for word in ("--option", option)]
        assert main(["sql", f"SELECT count(*) AS n FROM 's3://{BUCKET}/typed'", "--json", *flags]) == 0
        assert capsys.readouterr().out == '{"n":2}\n'
        assert main(["check", f"s3://{BUCKET}/typed", *flags]) == 0
