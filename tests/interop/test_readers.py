"""DuckDB, Polars and pandas read what a pipeline wrote, and agree with counts made from the input."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pytest

from ingest.cli.main import main

ROOT = Path(__file__).parents[2]
STATUS = re.compile(r'" (\d{3}) (?:\d+|-) "')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped access log, through the shipped template, partitioned by a derived and by a plain column."""
    folder = tmp_path_factory.mktemp("site")
    assert main(["init", str(folder), "--template", "access-log"]) == 0
    pipeline = folder / "pipeline.yaml"
    text = pipeline.read_text().replace('["day(timestamp)"]', '["day(timestamp)", status]')
    pipeline.write_text(text)
    assert main(["run", str(pipeline), "--until-caught-up", "--quiet"]) == 0
    return folder


@pytest.fixture(scope="module")
def expected() -> Counter[int]:
    """Requests by status, counted from the text."""
    log = ROOT / "pipelines" / "templates" / "access-log" / "access.log"
    return Counter(int(found[1]) for line in log.read_text().splitlines() if (found := STATUS.search(line)))


def test_duckdb_agrees(site: Path, expected: Counter[int]) -> None:
    lake = f"read_parquet('{site}/lake/access/**/*.parquet', hive_partitioning = true)"
    rows = duckdb.sql(f"SELECT status, count(*) FROM {lake} GROUP BY 1").fetchall()
    assert {int(status): count for status, count in rows} == expected


def test_polars_agrees(site: Path, expected: Counter[int]) -> None:
    frame = pl.scan_parquet(f"{site}/lake/access/**/*.parquet", hive_partitioning=True)
    rows = frame.group_by("status").len().collect().rows()
    assert {int(status): count for status, count in rows} == expected


def test_pandas_agrees(site: Path, expected: Counter[int]) -> None:
    frame = pd.read_parquet(site / "lake" / "access")
    assert {int(status): count for status, count in frame["status"].value_counts().items() if count} == expected


def test_our_own_sql_agrees(site: Path, expected: Counter[int], capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert main(["sql", f"SELECT status, count(*) AS n FROM '{site}/lake/access' GROUP BY status", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {int(row["status"]): row["n"] for row in rows} == expected


def test_columns_are_typed(site: Path) -> None:
    types = duckdb.sql(
        f"DESCRIBE SELECT time, bytes, host FROM read_parquet('{site}/lake/access/**/*.parquet')"
    ).fetchall()
    assert [kind for _, kind, *_ in types] == ["TIMESTAMP WITH TIME ZONE", "BIGINT", "VARCHAR"]


def test_days_are_those_of_utc(site: Path) -> None:
    parts = {path.name for path in (site / "lake" / "access").glob("day=*")}
    assert parts == {"day=2026-01-30", "day=2026-01-31"}
