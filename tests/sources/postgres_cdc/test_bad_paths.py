"""What a server, its settings and its users do wrong: said with what to do about it, and nothing is lost."""

from __future__ import annotations

import threading

import psycopg
import pytest
from postgres_capture import Capture, told
from servers.postgres import PostgresServer, postgres_server

from ingest.errors import ConnectorError, PositionLost, SystemUnavailable
from ingest.sources.postgres_cdc.settings import PostgresCdcSettings


@pytest.fixture
def shop(postgres: PostgresServer, url: str) -> Capture:
    postgres.execute("CREATE TABLE orders (id integer PRIMARY KEY, n integer)", url=url)
    return Capture(postgres, url, tables=["orders"])


def hint_of(capture: Capture, message: str) -> str:
    """The hint of the error in which a run ends."""
    with pytest.raises(ConnectorError, match=message) as caught:
        capture.run()
    return caught.value.hint or ""


def test_a_wrong_password_is_said_and_not_shown(shop: Capture) -> None:
    shop.execute("DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN PASSWORD 'secret' REPLICATION")
    shop.settings["url"] = shop.url.replace("postgres@", "guest:wrong@")
    with pytest.raises(ConnectorError, match=r"guest:\*\*\*@") as caught:
        shop.run()
    assert "password is wrong" in (caught.value.hint or "")
    assert "wrong@" not in str(caught.value)


def test_a_server_that_logs_no_rows_is_refused_with_the_setting() -> None:
    with postgres_server() as server:
        server.execute("ALTER SYSTEM SET wal_level = 'replica'", "CREATE TABLE t (id integer PRIMARY KEY)")
        server.stop()
        server.start()
        assert "wal_level = 'logical'" in hint_of(Capture(server, server.url(), tables=["t"]), "wal_level is replica")


@pytest.fixture
def reader(shop: Capture) -> str:
    """A role that may connect and no more."""
    shop.execute("DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN")
    shop.settings["url"] = shop.url.replace("postgres@", "reader@")
    return "reader"


def test_a_user_without_replication_is_told_the_statement(shop: Capture, reader: str) -> None:
    assert hint_of(shop, "may not read the log").endswith('ALTER ROLE "reader" REPLICATION')


def test_a_user_who_may_not_publish_is_told_the_statement(shop: Capture, reader: str) -> None:
    shop.execute(f"ALTER ROLE {reader} REPLICATION", "SELECT 1")
    hint = hint_of(shop, "may not make or change the publication ingest_shop")
    assert 'CREATE PUBLICATION "ingest_shop" FOR TABLE "public"."orders"' in hint
    assert shop.slot() is None


def test_a_user_who_may_not_read_the_table_is_told_the_grant(shop: Capture, reader: str) -> None:
    shop.execute(f"ALTER ROLE {reader} REPLICATION", "CREATE PUBLICATION ingest_shop FOR TABLE orders")
    assert "GRANT SELECT ON" in hint_of(shop, "permission denied for table orders")
    shop.execute(f"GRANT SELECT ON orders TO {reader}", "INSERT INTO orders VALUES (1)")
    assert len(shop.run()) == 1
    shop.execute(f"REVOKE ALL ON orders FROM {reader}", "SELECT 1")


def test_a_table_without_a_key_is_refused_before_its_users_are_hurt(shop: Capture) -> None:
    shop.execute("CREATE TABLE keyless (n integer)", "INSERT INTO keyless VALUES (1)")
    shop.settings["tables"] = ["*"]
    assert 'ALTER TABLE "public"."keyless" REPLICA IDENTITY FULL' in hint_of(shop, "keyless has no primary key")
    shop.execute("UPDATE keyless SET n = 2", "SELECT 1")
    shop.execute("ALTER TABLE keyless REPLICA IDENTITY FULL", "SELECT 1")
    shop.run()
    shop.execute("UPDATE keyless SET n = 3", "DELETE FROM keyless")
    shop.run()
    assert told(shop.records)[1:] == [("u", {"n": 2}, {"n": 3}), ("d", {"n": 3}, None)]


def test_replica_identity_nothing_is_refused_too(shop: Capture) -> None:
    shop.execute("ALTER TABLE orders REPLICA IDENTITY NOTHING", "SELECT 1")
    assert "REPLICA IDENTITY" in hint_of(shop, "public.orders has no primary key, nor another replica identity")


def test_a_table_that_only_grows_needs_no_key(shop: Capture) -> None:
    shop.execute(
        "CREATE TABLE lines (n integer)",
        "INSERT INTO lines VALUES (1)",
        "CREATE PUBLICATION growing FOR TABLE lines WITH (publish = 'insert')",
    )
    shop.settings |= {"tables": ["lines"], "publication": "growing"}
    shop.run()
    shop.execute("INSERT INTO lines VALUES (2)", "UPDATE lines SET n = 5 WHERE n = 1")
    shop.run()
    assert [(key, after) for (_, key, _), (_, _, after) in zip(shop.records, told(shop.records), strict=True)] == [
        (None, {"n": 1}),
        (None, {"n": 2}),
    ]
    assert any("leaves out: updates, deletes, truncates" in report for report in shop.reports)


def test_a_publication_of_partitions_is_refused_with_the_statement(shop: Capture) -> None:
    shop.execute(
        "CREATE TABLE days (day integer PRIMARY KEY) PARTITION BY RANGE (day)",
        "CREATE PUBLICATION parts FOR TABLE days",
    )
    shop.settings |= {"tables": ["days"], "publication": "parts"}
    assert 'ALTER PUBLICATION "parts" SET (publish_via_partition_root = true)' in hint_of(shop, "its partitions")


def test_an_unlogged_table_is_refused(shop: Capture) -> None:
    shop.execute("ALTER TABLE orders SET UNLOGGED", "SELECT 1")
    hint_of(shop, "orders is an unlogged")


def test_a_table_that_is_not_there_is_guessed(shop: Capture) -> None:
    shop.settings["tables"] = ["ordres"]
    assert hint_of(shop, "no table ordres") == "did you mean public.orders?"


def test_a_slot_of_somebody_else_is_not_touched(shop: Capture) -> None:
    shop.execute("SELECT pg_create_logical_replication_slot('ingest_shop', 'pgoutput')")
    assert "pg_drop_replication_slot('ingest_shop')" in hint_of(shop, "has no position in it")
    assert shop.slot() is not None


def test_a_publication_that_was_dropped_is_an_error(shop: Capture) -> None:
    shop.run()
    shop.execute("DROP PUBLICATION ingest_shop", "INSERT INTO orders VALUES (1)")
    with pytest.raises(PositionLost, match="the publication ingest_shop is gone"):
        shop.run()


_MODES = {"the server stops": "fast", "the server crashes": "immediate"}


@pytest.mark.parametrize("end", ["the server stops", "the server crashes", "the walsender is killed"])
def test_a_stream_that_is_cut_goes_on_where_it_was(shop: Capture, end: str) -> None:
    shop.run()
    shop.execute("INSERT INTO orders SELECT n, 0 FROM generate_series(1, 500) n", "SELECT 1")
    with shop.opened(until_caught_up=False, batch_bytes=8192) as task:
        shop.until(task, lambda: len(shop.records) >= 100)
        if end == "the walsender is killed":
            shop.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots")
        stopping = threading.Thread(target=shop.server.stop, args=[_MODES.get(end)])
        if end in _MODES:
            stopping.start()  # it waits until the stream has taken what there is
        with pytest.raises(SystemUnavailable):
            shop.until(task, lambda: False)
    if end in _MODES:
        stopping.join()
        shop.server.start()
    shop.execute("INSERT INTO orders VALUES (501, 0)", "SELECT 1")
    shop.run()
    assert [key["id"] for _, key, _ in shop.records] == list(range(1, 502))


def test_a_table_that_is_dropped_takes_none_of_its_changes_with_it(shop: Capture) -> None:
    shop.execute("CREATE TABLE gone (id integer PRIMARY KEY, mood text)", "SELECT 1")
    shop.settings["tables"] = ["*"]
    shop.run()
    shop.execute("INSERT INTO gone VALUES (1, 'low')", "DROP TABLE gone", "INSERT INTO orders VALUES (1)")
    assert [(topic, value["after"]["id"]) for topic, _, value in shop.run()] == [
        ("public.gone", 1),
        ("public.orders", 1),
    ]


def test_a_transaction_that_is_open_is_waited_for_and_a_stop_ends_the_wait(shop: Capture) -> None:
    with psycopg.connect(shop.url) as writer:
        writer.execute("INSERT INTO orders VALUES (1, 1)")
        with shop.opened(until_caught_up=False) as task:
            shop.step(task)
            task._context.stopping.set()  # type: ignore[attr-defined]
            assert shop.step(task) is False
        writer.commit()
    assert len(shop.run()) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"url": "sqlite:///a.db"}, "postgresql://"),
        ({"slot": "Big-Name"}, "small letters"),
        ({"heartbeat_topic": "beats"}, "needs heartbeat"),
        ({"tables": []}, "at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PostgresCdcSettings(**{"url": "postgresql://h/d", "tables": ["t"], **wrong})
