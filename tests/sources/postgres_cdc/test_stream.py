"""What comes out of the stream: as the rows were, in the order of the log, whatever happens to the tables."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from postgres_capture import Capture, told
from servers.postgres import PostgresServer

from ingest.connectors import SourceContext
from ingest.environment import Environment
from ingest.errors import PositionLost
from ingest.sources.postgres.message_feed import put_frame
from ingest.sources.postgres_cdc.decoding import Decoder
from ingest.sources.postgres_cdc.identity import Identity, check_same
from ingest.sources.postgres_cdc.place import Place
from ingest.sources.postgres_cdc.settings import PostgresCdcSettings
from ingest.sources.postgres_cdc.source_fields import SourceFields
from ingest.sources.postgres_cdc.stream import Stream
from ingest.sources.postgres_cdc.tables import StreamedTables

FAR = (("day", pa.int32()), ("moment", pa.int64()))
FIELDS = SourceFields("0", "shop", "db")
UNAVAILABLE = "__debezium_unavailable_value"


@pytest.fixture
def shop(postgres: PostgresServer, url: str) -> Capture:
    return Capture(postgres, url)


def transaction(capture: Capture, *statements: str, roll_back: bool = False) -> None:
    with psycopg.connect(capture.url) as connection:
        for statement in statements:
            connection.execute(statement)
        if roll_back:
            connection.rollback()


VALUES = {
    "boolean": "true",
    "smallint": "-32768",
    "integer": "2147483647",
    "bigint": "-9223372036854775808",
    "oid": "4294967295",
    "real": "1e-20",
    "double precision": "'-Infinity'",
    "float8": "0.1",
    "numeric(10,2)": "-12345678.90",
    "numeric(76,2)": "'" + "9" * 74 + ".99'",
    "numeric": "1.10",
    "money": "12.50",
    "char(3)": "'a'",
    "varchar(9)": "'é🙂'",
    "text": "''",
    "name": "'n'",
    '"char"': "'c'",
    "bytea": r"'\x00ff'",
    "date": "'0001-01-01'",
    "time": "'23:59:59.999999'",
    "timetz": "'12:00+05:30'",
    "timestamp": "'2026-01-31 12:00:00.123456'",
    "timestamp(0)": "'9999-12-31 23:59:59'",
    "timestamptz": "'2026-01-31 12:00:00.1+02'",
    "interval": "'1 mon 2 days 03:04:05.6'",
    "uuid": "'123e4567-e89b-12d3-a456-426614174000'",
    "json": """'{"a":  1.10}'""",
    "jsonb": """'{"a":  1.10}'""",
    "bit(3)": "'101'",
    "integer[]": "'{1,NULL,3}'",
    "inet": "'10.0.0.1'",
    "cidr": "'10.0.0.0/8'",
    "int4range": "'[1,5)'",
    "mood": "'sad'",
    "positive": "7",
    "point": "'(1,2)'",
    "xml": "'<a/>'",
}


def test_a_value_of_each_type_is_the_same_from_the_snapshot_and_from_the_stream(shop: Capture) -> None:
    columns = ", ".join(f"c{number} {declared}" for number, declared in enumerate(VALUES))
    shop.execute(
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
        f"CREATE TABLE typed (id integer PRIMARY KEY, {columns})",
        f"INSERT INTO typed VALUES (1, {', '.join(VALUES.values())})",
        "INSERT INTO typed VALUES (2)",
    )
    shop.run()
    shop.execute(f"INSERT INTO typed VALUES (3, {', '.join(VALUES.values())})", "INSERT INTO typed VALUES (4)")
    shop.run()
    one, two, three, four = [value["after"] for _, _, value in shop.records]
    assert three == one | {"id": 3}
    assert four == two | {"id": 4}
    assert not shop.dead


def test_days_before_christ_and_far_ahead_are_the_same_from_both(shop: Capture) -> None:
    far = "'4713-01-01 BC', '0044-03-15 12:00:00.5 BC'), ({}, '5874897-12-31', '294246-12-31 23:59:59'"
    shop.execute(
        "CREATE TABLE far (id integer PRIMARY KEY, day date, moment timestamptz)",
        f"INSERT INTO far VALUES (1, {far.format(2)})",
    )
    found = []
    with shop.opened(until_caught_up=False) as task:
        while sum(map(len, found)) < 4:
            polled = task.poll()
            for records in polled.records if polled else ():
                after = pc.struct_field(records.value, "after")
                found.append(
                    zip(*(pc.struct_field(after, name).view(kind).to_pylist() for name, kind in FAR), strict=True)
                )
                found[-1] = list(found[-1])
            if polled and polled.positions.get("changes", {}).get("state") == "streaming" and len(found) == 1:
                shop.execute(f"INSERT INTO far VALUES (3, {far.format(4)})", "SELECT 1")
    rows = [row for rows in found for row in rows]
    assert rows[:2] == rows[2:]


def test_a_value_that_no_type_holds_is_a_dead_letter_with_its_key(shop: Capture) -> None:
    shop.execute("CREATE TABLE days (id integer PRIMARY KEY, day date, n numeric(9,2))", "SELECT 1")
    shop.run()
    transaction(
        shop, "INSERT INTO days VALUES (1, 'infinity'), (2, '2026-01-31'), (3, NULL)", "UPDATE days SET n = 'NaN'"
    )
    assert [after["id"] for _, _, after in told(shop.run())] == [2, 3]
    reasons = [reason for _, reason in shop.dead]
    assert [reason.rpartition("key ")[2] for reason in reasons] == ["id=1", "id=1", "id=2", "id=3"]
    assert "column day (date)" in reasons[0]
    assert "column n (numeric(9,2))" in reasons[2]


def test_each_replica_identity_tells_what_it_can(shop: Capture) -> None:
    shop.execute(
        "CREATE TABLE by_key (id integer PRIMARY KEY, name text)",
        "CREATE TABLE whole (id integer PRIMARY KEY, name text)",
        "ALTER TABLE whole REPLICA IDENTITY FULL",
        "CREATE TABLE by_index (id integer, name text NOT NULL UNIQUE)",
        "ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_name_key",
    )
    shop.run()
    for table in ("by_key", "whole", "by_index"):
        shop.execute(
            f"INSERT INTO {table} VALUES (1, 'Ann')",
            f"UPDATE {table} SET id = id WHERE name = 'Ann'",
            f"DELETE FROM {table}",
        )
    records = shop.run()
    ann = {"id": 1, "name": "Ann"}
    found = {}
    for table in ("by_key", "whole", "by_index"):
        own = [record for record in records if record[0] == f"public.{table}"]
        found[table] = (own[0][1], told(own))
    assert found == {
        "by_key": ({"id": 1}, [("c", None, ann), ("u", None, ann), ("d", {"id": 1, "name": None}, None), None]),
        "whole": ({"id": 1}, [("c", None, ann), ("u", ann, ann), ("d", ann, None), None]),
        "by_index": (
            {"name": "Ann"},
            [("c", None, ann), ("u", None, ann), ("d", {"id": None, "name": "Ann"}, None), None],
        ),
    }


def test_a_key_of_several_columns_has_one_order_in_snapshot_and_stream(shop: Capture) -> None:
    shop.execute("CREATE TABLE pairs (a integer, b integer, PRIMARY KEY (b, a))", "INSERT INTO pairs VALUES (1, 2)")
    shop.run()
    shop.execute("INSERT INTO pairs VALUES (3, 4)", "SELECT 1")
    shop.run()
    assert [list(key) for _, key, _ in shop.records] == [["b", "a"], ["b", "a"]]


def test_a_large_value_that_was_not_touched_is_marked_or_taken_from_the_old_row(shop: Capture) -> None:
    big = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 300) n)"
    shop.execute(
        "CREATE TABLE marked (id integer PRIMARY KEY, n integer, big text, raw bytea)",
        "CREATE TABLE known (id integer PRIMARY KEY, n integer, big text, raw bytea)",
        "ALTER TABLE known REPLICA IDENTITY FULL",
        *(f"INSERT INTO {table} VALUES (1, 1, {big}, decode({big}, 'hex'))" for table in ("marked", "known")),
    )
    shop.run()
    shop.execute("UPDATE marked SET n = 2", "UPDATE known SET n = 2")
    after = {topic: value["after"] for topic, _, value in shop.run()}
    text = shop.execute("SELECT big FROM known")[0][0]
    assert after["public.marked"] == {"id": 1, "n": 2, "big": UNAVAILABLE, "raw": UNAVAILABLE.encode()}
    assert after["public.known"] == {"id": 1, "n": 2, "big": text, "raw": bytes.fromhex(text)}


def test_a_truncate_of_several_tables_is_a_record_in_each(shop: Capture) -> None:
    shop.execute("CREATE TABLE a (id integer PRIMARY KEY)", "CREATE TABLE b (id integer PRIMARY KEY)")
    shop.run()
    shop.execute("INSERT INTO a VALUES (1)", "TRUNCATE a, b")
    ops = [(topic, key, value["op"]) for topic, key, value in shop.run()]
    assert sorted(ops, key=str) == [("public.a", None, "t"), ("public.a", {"id": 1}, "c"), ("public.b", None, "t")]


def test_columns_come_go_and_change_in_the_middle_of_the_stream(shop: Capture) -> None:
    shop.execute("CREATE TABLE t (id integer PRIMARY KEY, a text)", "SELECT 1")
    shop.run()
    shop.execute(
        "INSERT INTO t VALUES (1, 'one')",
        "ALTER TABLE t ADD COLUMN b integer DEFAULT 5",
        "INSERT INTO t VALUES (2, 'two')",
        "ALTER TABLE t DROP COLUMN a",
        "INSERT INTO t VALUES (3)",
        "ALTER TABLE t ALTER COLUMN b TYPE bigint, ALTER COLUMN b SET DEFAULT 5000000000",
        "INSERT INTO t VALUES (4)",
        "ALTER TABLE t RENAME COLUMN b TO c",
        "INSERT INTO t VALUES (5)",
    )
    assert [after for _, _, after in told(shop.run())] == [
        {"id": 1, "a": "one"},
        {"id": 2, "a": "two", "b": 5},
        {"id": 3, "b": 5},
        {"id": 4, "b": 5000000000},
        {"id": 5, "c": 5000000000},
    ]


def test_a_generated_column_is_in_neither_snapshot_nor_stream(shop: Capture) -> None:
    shop.execute(
        "CREATE TABLE t (id integer PRIMARY KEY, twice integer GENERATED ALWAYS AS (2 * id) STORED)",
        "INSERT INTO t VALUES (1)",
    )
    shop.run()
    shop.execute("INSERT INTO t VALUES (2)", "SELECT 1")
    shop.run()
    assert [after for _, _, after in told(shop.records)] == [{"id": 1}, {"id": 2}]


def test_partitions_speak_as_their_table(shop: Capture) -> None:
    shop.execute(
        "CREATE TABLE days (day date, n integer, PRIMARY KEY (day, n)) PARTITION BY RANGE (day)",
        "CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        "INSERT INTO days VALUES ('2026-01-05', 1)",
    )
    shop.run()
    shop.execute(
        "CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
        "INSERT INTO days VALUES ('2026-02-05', 2)",
        "UPDATE days SET day = '2026-02-06' WHERE n = 1",
    )
    shop.run()
    assert {topic for topic, _, _ in shop.records} == {"public.days"}
    assert [row and row[0] for row in told(shop.records)] == ["r", "c", "d", None, "c"]


def test_a_large_transaction_comes_in_parts_and_goes_on_where_it_was(shop: Capture) -> None:
    shop.execute("CREATE TABLE t (id integer PRIMARY KEY)", "CREATE TABLE u (id integer PRIMARY KEY)")
    shop.run()
    fill = "INSERT INTO {} SELECT generate_series({}, {})"
    transaction(shop, *(fill.format(table, n, n + 99) for n in range(0, 500, 100) for table in "tu"))
    runs, within = 0, False
    while len(shop.records) < 1000:
        with shop.opened(batch_bytes=8192) as task:
            count = len(shop.records)
            shop.until(task, lambda count=count: len(shop.records) > count)  # type: ignore[misc]
        within = within or shop.positions["changes"]["done"] > 0
        runs += 1
    assert runs > 3
    assert within
    for table in "tu":
        assert [key["id"] for topic, key, _ in shop.records if topic == f"public.{table}"] == list(range(500))


def test_a_keepalive_before_a_transaction_that_was_taken_in_part_does_not_make_it_forgotten() -> None:
    def frames(*messages: bytes) -> np.ndarray:
        memory = np.empty(1000, np.uint8)
        at = 0
        for message in messages:
            at = put_frame(memory, at, message)
        return memory[:at]

    def payload(content: bytes) -> bytes:
        return b"w" + struct.pack(">qqq", 500, 500, 0) + content

    relation = payload(b"R" + struct.pack(">I", 9) + b"public\0t\0d\0\0")
    begin = payload(b"B" + struct.pack(">qqI", 500, 0, 7))
    row = payload(b"I" + struct.pack(">I", 9) + b"N\0\0")
    commit = payload(b"C\0" + struct.pack(">qqq", 500, 600, 0))
    keepalive = b"k" + struct.pack(">qqB", 450, 0, 0)
    context = SourceContext("shop", Path(), Environment(), topic="{table}")
    tables = StreamedTables(lambda _: False, lambda: None)
    place = Place("streaming", "7", 1, "db", "s", "p", end=400, commit=500, done=2)
    stream = Stream(place, PostgresCdcSettings(url="postgresql://h/d", tables=["t"]), context, tables, Decoder(FIELDS))
    seen = []
    for piece in ([keepalive], [begin, relation, row], [row, keepalive, row], [commit]):
        stream.take(frames(*piece))
        seen.append((stream.place.end, stream.place.commit, stream.place.done))
    assert seen == [(450, 500, 2), (450, 500, 2), (450, 500, 3), (600, 0, 0)]


def test_what_was_rolled_back_does_not_come(shop: Capture) -> None:
    shop.execute("CREATE TABLE t (id integer PRIMARY KEY)", "SELECT 1")
    shop.run()
    transaction(shop, "INSERT INTO t VALUES (1)", roll_back=True)
    transaction(shop, "INSERT INTO t VALUES (2)", "SAVEPOINT s", "INSERT INTO t VALUES (3)", "ROLLBACK TO s")
    assert [key for _, key, _ in shop.run()] == [{"id": 2}]


def test_tables_that_share_a_topic_keep_the_order_of_the_log(shop: Capture) -> None:
    shop.execute("CREATE TABLE a (id integer PRIMARY KEY)", "CREATE TABLE b (id integer PRIMARY KEY)")
    shop.run()
    transaction(shop, *(f"INSERT INTO {'ab'[n % 2]} VALUES ({n})" for n in range(10)))
    assert [key["id"] for _, key, _ in shop.run(topic="all")] == list(range(10))


def test_only_the_tables_that_are_named_come(shop: Capture) -> None:
    shop.execute(
        "CREATE TABLE a (id integer PRIMARY KEY)",
        "CREATE TABLE b (id integer PRIMARY KEY)",
        "CREATE PUBLICATION mine FOR ALL TABLES",
    )
    shop.settings |= {"publication": "mine", "exclude": ["b"]}
    shop.run()
    shop.execute(
        "INSERT INTO a VALUES (1)",
        "INSERT INTO b VALUES (1)",
        "CREATE TABLE c (id integer PRIMARY KEY)",
        "INSERT INTO c VALUES (1)",
    )
    assert [topic for topic, _, _ in shop.run()] == ["public.a", "public.c"]


def test_a_table_that_is_named_later_is_added_and_said(shop: Capture) -> None:
    shop.execute("CREATE TABLE a (id integer PRIMARY KEY)", "SELECT 1")
    shop.run()
    shop.execute("CREATE TABLE b (id integer PRIMARY KEY)", "INSERT INTO b VALUES (1)")
    shop.run()
    assert ["public.b was added" in report for report in shop.reports] == [True]
    shop.execute("INSERT INTO b VALUES (2)", "SELECT 1")
    assert [key for _, key, _ in shop.run()] == [{"id": 2}]


def test_rows_only_and_changes_only(postgres: PostgresServer, url: str) -> None:
    rows, changes = Capture(postgres, url, snapshot="only"), Capture(postgres, url, snapshot="never")
    rows.execute("CREATE TABLE t (id integer PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    changes.run()
    rows.run()
    rows.execute("INSERT INTO t VALUES (2)", "SELECT 1")
    rows.run()
    changes.run()
    assert [key for _, key, _ in rows.records] == [{"id": 1}]
    assert [key for _, key, _ in changes.records] == [{"id": 2}]
    assert rows.execute("SELECT count(*) FROM pg_replication_slots") == [(1,)]


def test_transactions_are_told_and_numbered_also_through_a_restart_in_their_middle(shop: Capture) -> None:
    shop.settings["transaction_topic"] = "transactions"
    shop.execute("CREATE TABLE a (id integer PRIMARY KEY)", "CREATE TABLE b (id integer PRIMARY KEY)")
    shop.run()
    shop.records.clear()
    transaction(
        shop, *(f"INSERT INTO {'ab'[n % 2]} SELECT generate_series({n} * 100, {n} * 100 + 99)" for n in range(4))
    )
    while sum(topic != "transactions" for topic, _, _ in shop.records) < 400:
        with shop.opened(batch_bytes=4096) as task:
            count = len(shop.records)
            shop.until(task, lambda count=count: len(shop.records) > count)  # type: ignore[misc]
    shop.run()
    begin, last = [value for topic, _, value in shop.records if topic == "transactions"]
    assert (begin["status"], last["status"], begin["id"]) == ("BEGIN", "END", last["id"])
    assert last["event_count"] == 400
    assert last["data_collections"] == [
        {"data_collection": "public.a", "event_count": 200},
        {"data_collection": "public.b", "event_count": 200},
    ]
    numbers: list[Any] = [value["transaction"] for topic, _, value in shop.records if topic != "transactions"]
    assert {each["id"] for each in numbers} == {begin["id"]}
    assert sorted(each["total_order"] for each in numbers) == list(range(1, 401))
    of_a = [value["transaction"]["data_collection_order"] for topic, _, value in shop.records if topic == "public.a"]
    assert of_a == list(range(1, 201))


def test_heartbeats_come_without_changes(shop: Capture) -> None:
    shop.settings |= {"heartbeat": 100, "heartbeat_topic": "beats"}
    shop.execute("CREATE TABLE a (id integer PRIMARY KEY)", "SELECT 1")
    with shop.opened(until_caught_up=False) as task:
        shop.until(task, lambda: len(shop.records) >= 2)
    assert {(topic, key["serverName"]) for topic, key, _ in shop.records} == {("beats", "shop")}


def test_the_server_is_answered_while_nobody_polls(shop: Capture) -> None:
    shop.execute("CREATE TABLE a (id integer PRIMARY KEY)", "SELECT 1")
    shop.settings["url"] = shop.url + "?options=-c%20wal_sender_timeout%3D1s"
    with shop.opened(until_caught_up=False) as task:
        shop.until(task, lambda: shop.slot("active"))
        shop.until(task, lambda: shop.positions["changes"]["state"] == "streaming")
        task._context.wait(3000)  # type: ignore[attr-defined]  # as long as back-pressure holds it
        shop.execute("INSERT INTO a VALUES (1)", "SELECT 1")
        shop.until(task, lambda: len(shop.records) == 1)


def test_the_slot_of_a_quiet_table_moves_with_the_log(shop: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.sources.postgres_cdc.task._ADVANCE_MS", 200)
    shop.execute("CREATE TABLE quiet (id integer PRIMARY KEY)", "CREATE TABLE loud (id integer PRIMARY KEY)")
    shop.settings["tables"] = ["quiet"]
    with shop.opened(until_caught_up=False) as task:
        shop.until(task, lambda: shop.positions.get("changes", {}).get("state") == "streaming")
        before = shop.slot()
        shop.execute("INSERT INTO loud SELECT generate_series(1, 10000)", "SELECT 1")
        shop.until(task, lambda: shop.execute(f"SELECT '{shop.slot()}'::pg_lsn - '{before}'::pg_lsn > 100000")[0][0])
    assert not shop.records


def test_a_timeline_that_went_on_from_the_position_is_followed(shop: Capture) -> None:
    history = "1\t0/3000000\tno recovery target specified\n\n2\t0/5000000\tno recovery target specified\n"
    now = Identity("7", 3, 0x6000000, "db")
    check_same(Place("streaming", "7", 1, "db", "s", "p", end=0x3000000), "s", "p", now, lambda _: history)
    check_same(Place("streaming", "7", 2, "db", "s", "p", end=0x4000000), "s", "p", now, lambda _: history)
    with pytest.raises(PositionLost, match="timeline 1 to 3"):
        check_same(Place("streaming", "7", 1, "db", "s", "p", end=0x3000001), "s", "p", now, lambda _: history)
