"""Tables read beside the stream, because a row in the table of signals asks for it: every row, at its place among the
changes, through restarts."""

from __future__ import annotations

import json
import random
import threading
from typing import Any

import psycopg
import pytest
from postgres_capture import Capture, told
from servers.postgres import PostgresServer

from ingest.errors import ConnectorError
from ingest.sources.postgres_cdc.visibility import Seen

LARGE = "x" * 20_000
SIGNALS = "CREATE TABLE signals (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, data text)"


@pytest.fixture
def shop(postgres: PostgresServer, url: str) -> Capture:
    capture = Capture(postgres, url, snapshot="never", signals="signals", chunk_rows=10)
    capture.execute(SIGNALS, "CREATE TABLE orders (id integer PRIMARY KEY, word text)")
    return capture


def ask(shop: Capture, *tables: str, kind: str = "execute-snapshot", name: str = "1") -> None:
    data = json.dumps({"data-collections": list(tables)})
    shop.execute(f"INSERT INTO signals VALUES ('{name}', '{kind}', '{data}')")


def fill(shop: Capture, count: int) -> None:
    shop.execute(f"INSERT INTO orders SELECT n, 'word ' || n FROM generate_series(1, {count}) n")


def applied(records: list[tuple[str, Any, Any]]) -> dict[int, Any]:
    """The table that the records make."""
    rows: dict[int, Any] = {}
    for _, key, value in records:
        if value is None or value["op"] == "d":
            rows.pop(key["id"], None)
        else:
            kept = rows.get(key["id"])
            word = value["after"]["word"]
            rows[key["id"]] = kept if word == "__debezium_unavailable_value" else word
    return rows


def test_rows_come_in_the_order_of_the_key_chunk_by_chunk(shop: Capture) -> None:
    fill(shop, 25)
    assert shop.run() == []
    ask(shop, "orders")
    records = shop.run()
    assert told(records) == [("r", None, {"id": n, "word": f"word {n}"}) for n in range(1, 26)]
    assert {value["source"]["snapshot"] for _, _, value in records} == {"incremental"}
    assert [key for _, key, _ in records] == [{"id": n} for n in range(1, 26)]
    assert "public.orders was read beside the stream: 25 rows" in shop.reports
    assert shop.run() == []


def test_keys_of_several_columns_and_of_texts_divide_a_table(shop: Capture) -> None:
    shop.execute("CREATE TABLE items (shop text, number integer, PRIMARY KEY (number, shop))")
    shop.execute("INSERT INTO items SELECT 'it''s ' || s, n FROM generate_series(1, 6) s, generate_series(1, 7) n")
    shop.run()
    ask(shop, "public.it*")
    found = [value["after"] for _, _, value in shop.run()]
    rows = shop.execute("SELECT number, shop FROM items ORDER BY number, shop")
    for start in range(0, len(rows), 10):
        assert sorted((row["number"], row["shop"]) for row in found[start : start + 10]) == rows[start : start + 10]
    assert len(found) == len(rows)


def test_a_change_that_the_rows_do_not_show_comes_behind_them(shop: Capture) -> None:
    shop.execute("ALTER TABLE orders ALTER COLUMN word SET STORAGE EXTERNAL", "ALTER TABLE orders ADD note text")
    shop.execute(f"INSERT INTO orders VALUES (1, '{LARGE}', 'old'), (2, 'gone', 'old'), (3, 'same', 'old')")
    shop.run()
    ask(shop, "orders")
    changes = ["UPDATE orders SET note = 'new' WHERE id = 1", "DELETE FROM orders WHERE id = 2"]
    shop.environment.fail.arm("postgres_cdc.chunk.read", lambda: shop.execute(*changes) and None)
    records = shop.run()
    ops = [None if value is None else (value["op"], key["id"]) for _, key, value in records]
    assert ops == [("r", 1), ("r", 2), ("r", 3), ("u", 1), ("d", 2), None]
    assert applied(records) == {1: LARGE, 3: "same"}


def test_a_change_that_the_rows_show_comes_before_them(shop: Capture) -> None:
    fill(shop, 3)
    shop.run()
    ask(shop, "orders")
    shop.execute("UPDATE orders SET word = 'new' WHERE id = 2", "DELETE FROM orders WHERE id = 3")
    ops = [value and (value["op"], value["after"] and value["after"]["word"]) for _, _, value in shop.run()]
    assert ops == [("u", "new"), ("d", None), None, ("r", "word 1"), ("r", "new")]


def test_a_restart_goes_on_behind_the_last_row_that_was_committed(shop: Capture) -> None:
    fill(shop, 95)
    shop.run()
    ask(shop, "orders")
    with shop.opened(until_caught_up=False) as task:
        shop.until(task, lambda: len(shop.records) >= 30)
        polled = task.poll()  # what was not committed comes again
        del polled
    assert shop.positions["changes"]["reading"]["rows"] == len(shop.records)
    shop.run()
    assert [value["after"]["id"] for _, _, value in shop.records] == list(range(1, 96))


def test_a_table_that_was_made_later_is_taken_up(shop: Capture) -> None:
    shop.run()
    shop.execute("CREATE TABLE later (id integer PRIMARY KEY, word text)", "INSERT INTO later VALUES (1, 'a')")
    shop.run()
    ask(shop, "later", "orders")
    fill(shop, 2)
    records = [(topic, value["op"]) for topic, _, value in shop.run()]
    assert records.count(("public.later", "r")) == 1
    assert records[-2:] == [("public.orders", "r")] * 2


def test_a_snapshot_is_stopped_by_a_signal(shop: Capture) -> None:
    fill(shop, 1_000)
    shop.run()
    ask(shop, "orders")
    with shop.opened(until_caught_up=False) as task:
        shop.until(task, lambda: len(shop.records) >= 20)
        ask(shop, "orders", kind="stop-snapshot", name="2")
        shop.until(task, lambda: "reading" not in shop.positions["changes"])
    assert 20 <= len(shop.records) < 1_000
    assert shop.run() == []


def test_a_table_that_is_dropped_meanwhile_is_left(shop: Capture) -> None:
    fill(shop, 100)
    shop.execute("CREATE TABLE other (id integer PRIMARY KEY)", "INSERT INTO other VALUES (1)")
    shop.run()
    ask(shop, "orders", "other")
    with shop.opened(until_caught_up=False) as task:
        shop.until(task, lambda: len(shop.records) >= 20)
    shop.execute("DROP TABLE orders")
    assert shop.run()[-1][1] == {"id": 1}
    assert any("cannot be read any more" in report for report in shop.reports)


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("execute-snapshot", "{", "no JSON"),
        ("execute-snapshot", "{}", "which tables"),
        ("execute-snapshot", '{"data-collections": "orders"}', "a list of tables"),
        ("execute-snapshot", '{"data-collections": ["nowhere"]}', "there is no table nowhere"),
        ("execute-snapshot", '{"data-collections": ["keyless"]}', "has no key"),
        ("execute-snapshot", '{"data-collections": ["orders"], "type": "blocking"}', "blocking"),
        ("execute-snapshot", '{"data-collections": ["orders"], "additional-conditions": [{}]}', "whole tables"),
        ("log", "{}", "is no signal"),
    ],
)
def test_a_signal_that_asks_for_nothing_is_told_and_passed_over(shop: Capture, kind: str, data: str, said: str) -> None:
    shop.execute("CREATE TABLE keyless (id integer)", "ALTER TABLE keyless REPLICA IDENTITY FULL")
    fill(shop, 1)
    shop.run()
    shop.execute(f"INSERT INTO signals VALUES ('x', '{kind}', '{data}')")
    assert shop.run() == []
    assert any(said in report for report in shop.reports)


def test_without_the_table_of_signals_it_says_how_to_make_it(shop: Capture) -> None:
    shop.execute("DROP TABLE signals")
    with pytest.raises(ConnectorError, match="table of signals") as raised:
        shop.run()
    assert raised.value.hint is not None
    shop.execute(raised.value.hint)
    shop.run()


def test_rows_that_wait_for_a_standby_are_not_overtaken_by_an_older_snapshot(shop: Capture) -> None:
    """Such a commit is in the log, and sent, before any snapshot sees it."""
    fill(shop, 3)
    shop.run()
    waiting = threading.Thread(target=shop.execute, args=("UPDATE orders SET word = 'new' WHERE id = 2",))
    shop.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    shop.execute("SELECT pg_reload_conf()")
    backend = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    try:
        with shop.opened(until_caught_up=False) as task:
            waiting.start()
            shop.until(task, lambda: bool(shop.records))
            assert shop.execute(backend)
            with psycopg.connect(shop.url, autocommit=True) as other:
                other.execute("SET synchronous_commit = local")
                data = '{"data-collections": ["orders"]}'
                other.execute(f"INSERT INTO signals VALUES ('1', 'execute-snapshot', '{data}')")
            for _ in range(5):
                shop.step(task)
            assert len(shop.records) == 1
            shop.execute("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
            shop.until(task, lambda: len(shop.records) == 4)
    finally:
        shop.execute("ALTER SYSTEM RESET synchronous_standby_names")
        shop.execute("SELECT pg_reload_conf()")
        waiting.join()
    assert applied(shop.records) == {1: "word 1", 2: "new", 3: "word 3"}


def test_whatever_is_written_meanwhile_the_records_end_as_the_table(shop: Capture) -> None:
    shop.settings["chunk_rows"] = 40
    fill(shop, 400)
    shop.run()
    ended = threading.Event()

    def work(seed: int) -> None:
        dice = random.Random(seed)
        with psycopg.connect(shop.url) as connection:
            while not ended.is_set():
                for _ in range(dice.randrange(1, 5)):
                    key = dice.randrange(1, 500)
                    connection.execute(
                        dice.choice(
                            [
                                f"UPDATE orders SET word = word || '{dice.randrange(10)}' WHERE id = {key}",
                                f"DELETE FROM orders WHERE id = {key}",
                                f"INSERT INTO orders VALUES ({key}, 'again') ON CONFLICT DO NOTHING",
                                f"UPDATE orders SET id = {key} + (SELECT max(id) FROM orders) WHERE id = {key}",
                            ]
                        )
                    )
                if dice.random() < 0.2:
                    connection.rollback()
                else:
                    connection.commit()
                ended.wait(0.01)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in (1,)]
    for worker in workers:
        worker.start()
    try:
        for number in range(3):
            ask(shop, "orders", name=str(number))
            with shop.opened(until_caught_up=False) as task:
                shop.until(task, lambda: "reading" in shop.positions["changes"])
                if number < 2:
                    shop.until(task, lambda: "reading" not in shop.positions["changes"])
    finally:
        ended.set()
        for worker in workers:
            worker.join()
    shop.run()
    assert applied(shop.records) == dict(shop.execute("SELECT id, word FROM orders"))
    assert sum(value is not None and value["op"] == "r" for _, _, value in shop.records) > 600


@pytest.mark.parametrize(
    ("xid", "seen"), [(9, True), (10, False), (12, True), (14, False), (19, True), (20, False), (2**32 - 5, True)]
)
def test_a_snapshot_sees_what_has_ended_before_it(xid: int, seen: bool) -> None:
    assert Seen.of("10:20:10,14").sees(xid) == seen
    assert Seen.of(f"{10 + 2**32}:{20 + 2**32}:{10 + 2**32},{14 + 2**32}").sees(xid) == seen


def test_numbers_of_transactions_wrap_around() -> None:
    seen = Seen.of(f"{2**33 - 3}:{2**33 + 2}:{2**33 - 2}")
    assert [seen.sees(xid) for xid in (2**32 - 3, 2**32 - 2, 2**32 - 1, 0, 1, 2)] == [
        True,
        False,
        True,
        True,
        True,
        False,
    ]
