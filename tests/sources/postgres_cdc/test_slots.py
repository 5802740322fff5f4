"""Seven ways in which others lose a slot or what is in it, and two in which snapshot and stream do not meet."""

from __future__ import annotations

import psycopg
import pytest
from postgres_capture import Capture, told
from servers.postgres import PostgresServer

from ingest.errors import PositionLost, SystemUnavailable
from ingest.sources.postgres_cdc.place import lsn_number


@pytest.fixture
def words(postgres: PostgresServer, url: str) -> Capture:
    postgres.execute("CREATE TABLE words (id integer PRIMARY KEY, word text)", url=url)
    return Capture(postgres, url, tables=["words"])


def insert(first: int, last: int) -> str:
    return f"INSERT INTO words SELECT n, 'word ' || n FROM generate_series({first}, {last}) n"


def ids(capture: Capture) -> list[int]:
    return [value["after"]["id"] for _, _, value in capture.records]


def confirmed(capture: Capture) -> int:
    return lsn_number(capture.slot())


def end(capture: Capture) -> int:
    return lsn_number(capture.positions["changes"]["end"])


def test_the_slot_moves_although_the_stream_is_never_drained(words: Capture) -> None:
    words.run()
    start = confirmed(words)
    words.execute("SELECT 1", *(insert(100 * n, 100 * n + 99) for n in range(20)))
    with words.opened(batch_bytes=4096) as task:
        words.until(task, lambda: len(words.records) >= 500)
        words.until(task, lambda: confirmed(words) > start)
        assert len(words.records) < 2000
    words.run()
    assert ids(words) == list(range(2000))


def test_the_log_is_let_go_and_no_restart_reads_the_rows_again(words: Capture) -> None:
    words.execute(insert(1, 10), "SELECT 1")
    words.run()
    for number in range(3):
        words.execute(insert(100 + number, 100 + number), "SELECT 1")
        assert [op for op, _, _ in told(words.run())] == ["c"]
        assert confirmed(words) == end(words)


def test_a_slot_whose_snapshot_was_not_committed_is_made_anew(words: Capture) -> None:
    words.execute(insert(1, 1000), "SELECT 1")
    with words.opened(batch_bytes=4096) as task:
        words.until(task, lambda: bool(words._parts))
    assert words.positions["changes"]["state"] == "intent"
    assert words.slot() is not None
    first = words.slot()
    words.execute(insert(1001, 1010), "SELECT 1")
    words.run()
    assert sorted(ids(words)) == list(range(1, 1011))
    assert words.slot() != first


def test_a_run_that_ends_at_once_confirms_before_it_leaves(words: Capture) -> None:
    words.run()
    words.execute(insert(1, 3), "SELECT 1")
    words.run()
    assert confirmed(words) == end(words)
    assert words.slot("active") is False


def test_no_more_is_confirmed_than_was_committed(words: Capture) -> None:
    words.run()
    words.execute("SELECT 1", *(insert(n, n) for n in range(100)))
    with words.opened(batch_bytes=2048) as task:
        words.until(task, lambda: len(words.records) > 0)
        until = end(words)
        for _ in range(3):
            task.poll()  # read on, and never committed
        words.until(task, lambda: confirmed(words) == until, tell=False)
    assert confirmed(words) <= end(words)


def test_what_the_hub_refused_comes_again(words: Capture) -> None:
    words.run()
    before = confirmed(words)
    words.execute(insert(1, 50), "SELECT 1")
    with words.opened() as task:
        polled = None
        while polled is None or not polled.records:
            polled = task.poll()
    assert confirmed(words) == before
    words.run()
    assert ids(words) == list(range(1, 51))


def test_a_slot_that_was_made_anew_is_an_error(words: Capture) -> None:
    words.run()
    words.execute("SELECT pg_drop_replication_slot('ingest_shop')", insert(1, 1))
    with pytest.raises(PositionLost, match="is gone"):
        words.run()
    words.execute("SELECT pg_create_logical_replication_slot('ingest_shop', 'pgoutput')")
    with pytest.raises(PositionLost, match="skipped in silence"):
        words.run()


def test_all_readers_of_the_snapshot_see_one_moment(words: Capture) -> None:
    words.settings["splits"] = 4
    words.execute("ALTER TABLE words ADD COLUMN filler text", "SELECT 1")
    words.execute("INSERT INTO words SELECT n, 'old', repeat('x', 500) FROM generate_series(1, 20000) n", "SELECT 1")
    with words.opened(batch_bytes=65536) as task:
        words.until(task, lambda: bool(words._parts))
        words.execute(
            "UPDATE words SET word = 'new' WHERE id % 2000 = 0", "DELETE FROM words WHERE id % 2000 = 1", insert_more()
        )
        words.until(task, lambda: not words._parts and len(words.records) >= 20000 + 10 + 20 + 1)
    rows = [value for _, _, value in words.records if value is not None and value["op"] == "r"]
    assert sorted(value["after"]["id"] for value in rows) == list(range(1, 20001))
    assert {value["after"]["word"] for value in rows} == {"old"}


def insert_more() -> str:
    return "INSERT INTO words VALUES (30000, 'added', NULL)"


def test_what_changes_while_the_snapshot_is_read_comes_once(words: Capture) -> None:
    words.execute(insert(1, 2000), "SELECT 1")
    with psycopg.connect(words.url) as writer, words.opened(batch_bytes=8192) as task:
        words.until(task, lambda: bool(words._parts))
        writer.execute("UPDATE words SET word = 'changed' WHERE id = 7")
        writer.execute("INSERT INTO words VALUES (2001, 'added')")
        writer.commit()
        words.until(task, lambda: not words._parts and len(words.records) >= 2002)
    changes = [value for _, _, value in words.records if value["op"] != "r"]
    assert [(value["op"], value["after"]["id"]) for value in changes] == [("u", 7), ("c", 2001)]
    assert [value["after"]["word"] for _, _, value in words.records if value["after"]["id"] == 7] == [
        "word 7",
        "changed",
    ]


def test_what_is_committed_between_slot_and_snapshot_comes_once(words: Capture) -> None:
    words.execute(insert(1, 10), "SELECT 1")
    between = (
        "UPDATE words SET word = 'changed' WHERE id = 7",
        "DELETE FROM words WHERE id = 8",
        insert(11, 11),
        "SELECT 1",
    )
    words.environment.fail.arm("postgres_cdc.slot.made", lambda: words.execute(*between))
    words.run()
    words.run()
    rows = [value["after"] for _, _, value in words.records if value is not None and value["op"] == "r"]
    assert [(row["id"], row["word"]) for row in rows] == [(n, f"word {n}") for n in range(1, 11)]
    changes = [value for _, _, value in words.records if value is not None and value["op"] != "r"]
    assert [value["op"] for value in changes] == ["u", "d", "c"]


def test_a_slot_that_is_in_use_is_waited_for(words: Capture) -> None:
    words.run()
    with words.opened(until_caught_up=False), pytest.raises(SystemUnavailable, match="in use"):
        words.run()


def test_a_log_that_was_thrown_away_is_an_error(words: Capture) -> None:
    words.run()
    words.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'", "SELECT pg_reload_conf()")
    try:
        for number in range(4):
            words.execute(insert(number, number), "SELECT pg_switch_wal()")
        words.execute("CHECKPOINT", "SELECT 1")
        words.execute("CHECKPOINT", "SELECT 1")
        assert words.slot("wal_status") == "lost"
        with pytest.raises(PositionLost, match="thrown away"):
            words.run()
    finally:
        words.execute("ALTER SYSTEM RESET max_slot_wal_keep_size", "SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"system": "1"}, "of the server 1"),
        ({"database": "other"}, "in the database other"),
        ({"timeline": 7}, "timeline 7"),
        ({"slot": "other"}, "the slot other"),
        ({"publication": "other"}, "the publication other"),
        ({"end": "FFFF/0"}, "the server's log ends at"),
    ],
)
def test_a_position_of_another_history_is_an_error(words: Capture, changed: dict[str, object], message: str) -> None:
    words.run()
    words.positions["changes"] |= changed
    with pytest.raises(PositionLost, match=message):
        words.run()
