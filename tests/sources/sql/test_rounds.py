"""When tables are read again: whole, by a schedule, under which topic and key."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from importing import imported
from pydantic import ValidationError

from ingest.connectors import EndOfInput, SourceContext
from ingest.environment import Environment
from ingest.errors import ConnectorError
from ingest.sources.sql.connector import SqlSource
from ingest.sources.sql.settings import SqlSettings

URL = "sqlite:///shop.db"


class TestClock:
    """Time that passes only when somebody waits."""

    __test__ = False

    def __init__(self) -> None:
        self.ms = 1_767_225_600_000  # 2026-01-01 00:00 UTC

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ms(self) -> int:
        return self.ms

    def wait(self, event: threading.Event, timeout_ms: int) -> bool:
        self.ms += timeout_ms
        return event.is_set()


def make(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "shop.db")) as database, database:
        for statement in statements:
            database.execute(statement)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    make(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES (1, 'a')")
    return tmp_path


def rounds_at(folder: Path, clock: TestClock, until_ms: int, positions: Any = None, **settings: Any) -> list[int]:
    """When rounds began, in milliseconds from now."""
    task = SqlSource(SqlSettings(url=URL, tables=["t"], **settings)).tasks(1)[0]
    began, found = clock.ms, []
    task.open(SourceContext("in", folder, Environment(clock=clock), topic="t"), positions or {})
    try:
        while clock.ms < began + until_ms:
            polled = task.poll()
            if polled is not None and polled.records:
                found.append(clock.ms - began)
    except EndOfInput:
        pass
    finally:
        task.close()
    return found


def test_a_full_refresh_reads_all_each_time_and_a_single_import_once(shop: Path) -> None:
    first = imported(shop, url=URL, tables=["t"], mode="full")
    again = imported(shop, url=URL, tables=["t"], mode="full", positions=first.positions)
    assert first.rows == again.rows == [{"id": 1, "v": "a"}]
    assert imported(shop, url=URL, tables=["t"], positions=first.positions).rows == []


def test_rounds_come_by_the_clock(shop: Path) -> None:
    assert rounds_at(shop, TestClock(), 200_000, mode="full", every="1m") == [0, 60_000, 120_000, 180_000]
    assert rounds_at(shop, TestClock(), 200_000, mode="full", cron="* * * * *") == [0, 60_000, 120_000, 180_000]


def test_a_restart_waits_for_the_round_that_is_next(shop: Path) -> None:
    clock = TestClock()
    positions = {"main.t": {"version": 1, "rows": 1, "read_at_ms": clock.ms - 50_000}}
    assert rounds_at(shop, clock, 80_000, positions, mode="full", every="1m") == [10_000, 70_000]


def test_without_a_schedule_the_source_ends_after_one_round(shop: Path) -> None:
    assert rounds_at(shop, TestClock(), 10_000_000, mode="full") == [0]


@pytest.mark.parametrize(
    "settings",
    [
        {"every": "5m"},
        {"cron": "@daily"},
        {"mode": "full", "every": "5m", "cron": "@daily"},
        {"mode": "full", "cron": "61 * * * *"},
        {"mode": "full", "timezone": "Europe/Atlantis"},
        {"mode": "full", "timezone": "../etc"},
        {"mode": "full", "incremental": {"column": "id", "mode": "append"}},
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SqlSettings(url=URL, tables=["t"], **settings)


def test_a_record_has_the_primary_key_of_its_row_where_that_is_asked(shop: Path) -> None:
    (records,) = imported(shop, url=URL, tables=["t"], primary_key=True).records
    assert records.key is not None
    assert records.key.to_pylist() == [b'{"id":1}']
    make(shop, "CREATE TABLE loose (v TEXT)")
    with pytest.raises(ConnectorError, match="no primary key"):
        imported(shop, url=URL, tables=["loose"], primary_key=True)


def test_odd_names_of_tables_become_topics_that_stay_apart(tmp_path: Path) -> None:
    make(tmp_path, 'CREATE TABLE "Großer Umsatz" (v INTEGER)', 'INSERT INTO "Großer Umsatz" VALUES (1)')
    found = imported(tmp_path, url=URL, tables=["Großer Umsatz"], topic="{schema}.{table}")
    assert [records.topic for records in found.records] == ["main.Gro_er_Umsatz"]
    make(tmp_path, 'CREATE TABLE "Gro_er Umsatz" (v INTEGER)')
    with pytest.raises(ConnectorError, match="would share a topic"):
        imported(tmp_path, url=URL, tables=["Gro*"], topic="{schema}.{table}")
