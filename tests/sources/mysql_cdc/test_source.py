"""Changes of MariaDB into records: rows, then every change, exactly, once, in its order."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from capturing import Captured, captured
from mariadb_types import REFUSED, types_of
from servers.mariadb import MariadbServer

from ingest.errors import ConnectorError, PositionLost
from ingest.sources.mysql_cdc.connector import MysqlCdcSource
from ingest.sources.mysql_cdc.settings import MysqlCdcSettings

_GTID = re.compile(r"0-1-\d+|[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}:\d+")
"""MariaDB's, MySQL's."""


def source(url: str, *tables: str, **settings: Any) -> MysqlCdcSource:
    return MysqlCdcSource(MysqlCdcSettings(url=url, tables=list(tables) or ["t"], **settings))


@pytest.fixture
def run(mariadb: MariadbServer, url: str) -> Any:
    return lambda *statements: mariadb.execute(*statements, url=url)


def replayed(found: Captured, state: dict[Any, Any] | None = None) -> dict[Any, Any]:
    """The table that a history of changes makes."""
    rows = dict(state or {})
    for op, before, after in found.ops():
        if op == "t":
            rows.clear()
        if before is not None:
            del rows[before["id"]]
        if after is not None:
            assert after["id"] not in rows
            rows[after["id"]] = after
    return rows


def test_a_value_of_each_type_is_the_same_by_snapshot_and_by_log(
    mariadb: MariadbServer, run: Any, url: str, tmp_path: Path
) -> None:
    types = types_of(mariadb.title)
    hidden = "INVISIBLE" if mariadb.title == "MariaDB" else ""
    columns = ", ".join(f"c{number} {declared} {hidden}" for number, (declared, *_) in enumerate(types))
    names = ", ".join(f"c{number}" for number in range(len(types)))
    values = ", ".join(value for _, value, *_ in types)
    run(f"CREATE TABLE t (id integer PRIMARY KEY, {columns})")
    zone = "SET time_zone = '+00:00'"
    run(zone, f"INSERT INTO t (id, {names}) VALUES (1, {values}), (2, {', '.join(['NULL'] * len(types))})")
    first = captured(source(url), tmp_path)
    run(zone, f"INSERT INTO t (id, {names}) VALUES (3, {values}), (4, {', '.join(['NULL'] * len(types))})")
    run("UPDATE t SET id = id + 10 WHERE id > 2", "DELETE FROM t WHERE id = 14")
    second = captured(source(url, tombstones=False), tmp_path, first.positions)
    assert not first.dead + second.dead
    kind = first.records[0].value.type
    assert {str(records.value.type) for records in second.records} == {str(kind)}
    rows = replayed(second, replayed(first))
    for number, (declared, _, wanted, meant) in enumerate(types):
        assert (declared, kind.field("after").type.field(f"c{number}").type) == (declared, wanted)
        assert (declared, rows[1][f"c{number}"]) == (declared, meant)
        assert (declared, rows[13][f"c{number}"]) == (declared, meant)
        assert rows[2][f"c{number}"] is None
    assert second.ops()[-1][1]["c0"] is None


@pytest.mark.slow
def test_json_is_printed_as_the_server_prints_it(mariadb: MariadbServer, run: Any, url: str, tmp_path: Path) -> None:
    """MySQL logs a binary form of it."""
    deep = "[" * 30 + "{}" + "]" * 30  # MariaDB takes 32
    doubles = [0.0, -0.0, 1.0, -1.5, 0.1, 1e-5, 1e-14, 1e-15, 123456789012345.0, 1e15, 1.5e300, 5e-324, 1 / 3, 2.0**70]
    texts = ["", 'a "quote" \\ / \n\t\b\u0001\u007f', "é🙂", "x" * 200, "y" * 70000]
    documents = [
        *["null", "true", "false", "0", "-1", "32767", "65535", "-32769", "65536", "4294967296"],
        *["18446744073709551615", "-9223372036854775808"],
        *map(repr, doubles),
        *(json.dumps(text) for text in texts),
        json.dumps({"": 1, "b": [None, True, {"é": -1}], "a": {"x": "y" * 70000, "n": 2**31, "s": 7}}),
        json.dumps([*range(40000)]),
        "[]",
        "{}",
        deep,
    ]
    run("CREATE TABLE t (id integer PRIMARY KEY, j json)")
    position = captured(source(url), tmp_path).positions
    with mariadb.connected(url) as connection, connection.cursor() as cursor:
        for number, document in enumerate(documents):
            cursor.execute("INSERT INTO t VALUES (%s, %s)", [number, document])
        if mariadb.title == "MySQL":
            odd = ["CAST(1.10 AS JSON)", "CAST(NOW(6) AS JSON)", "CAST(CURDATE() AS JSON)", "CAST(x'00ff' AS JSON)"]
            odd += ["CAST(TIME '-101:02:03.5' AS JSON)", "JSON_ARRAY(-123456789012345678901234567890.5, x'00')"]
            for number, made in enumerate(odd, 1000):
                cursor.execute(f"INSERT INTO t VALUES ({number}, {made})")
    found = captured(source(url), tmp_path, position)
    assert not found.dead
    meant = dict(mariadb.execute("SELECT id, j FROM t", url=url))
    assert {after["id"]: after["j"] for _, _, after in found.ops()} == meant


def test_what_the_log_tells_of_columns_is_told_in_their_order(run: Any, url: str, tmp_path: Path) -> None:
    """Which columns it tells signs and character sets of, differs between MariaDB and MySQL."""
    texts = "p point, v varchar(3), pp point, l varchar(3) CHARACTER SET latin1, b blob, e enum('é')"
    run(f"CREATE TABLE t (y year, id int PRIMARY KEY, u int unsigned, yy year, d date, i int, bits bit(4), {texts})")
    position = captured(source(url), tmp_path).positions
    run("INSERT INTO t VALUES (2026, -1, 4294967295, 1999, NULL, -1, b'1', NULL, 'é', NULL, 'é', 'é', 'é')")
    ((_, _, row),) = captured(source(url), tmp_path, position).ops()
    meant = {"y": 2026, "id": -1, "u": 2**32 - 1, "yy": 1999, "d": None, "i": -1, "bits": "0001"}
    assert row == meant | {"p": None, "v": "é", "pp": None, "l": "é", "b": "é".encode(), "e": "é"}


def test_what_a_type_cannot_hold_is_a_dead_letter_with_the_whole_change(run: Any, url: str, tmp_path: Path) -> None:
    columns = ", ".join(f"c{number} {declared} NULL" for number, (declared, _) in enumerate(REFUSED))
    run(f"CREATE TABLE t (id integer PRIMARY KEY, {columns})")
    first = captured(source(url), tmp_path)
    run(
        "SET sql_mode = 'ALLOW_INVALID_DATES'",
        *(f"INSERT INTO t (id, c{n}) VALUES ({n}, {value})" for n, (_, value) in enumerate(REFUSED)),
        "INSERT INTO t (id) VALUES (99)",
    )
    found = captured(source(url), tmp_path, first.positions)
    assert [after["id"] for _, _, after in found.ops()] == [99]
    for number, (reason, content) in enumerate(found.dead):
        assert reason.startswith(f"column c{number} ({REFUSED[number][0]}) has a value that ")
        assert reason.endswith(f"key id={number}")
        assert f'"id": {number}' in content.decode()
    assert len(found.dead) == len(REFUSED)


def test_keys_tombstones_and_places_are_debeziums(run: Any, url: str, tmp_path: Path) -> None:
    run("CREATE TABLE t (id integer PRIMARY KEY, w text)", "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    first = captured(source(url), tmp_path)
    assert [value["source"]["snapshot"] for value in first.values] == ["first", "true", "last"]
    run("UPDATE t SET w = 'x' WHERE id < 3", "UPDATE t SET id = 9 WHERE id = 3", "DELETE FROM t WHERE id = 1")
    run("TRUNCATE TABLE t")
    found = captured(source(url), tmp_path, first.positions)
    keys = [b'{"id":1}', b'{"id":2}', b'{"id":3}', b'{"id":3}', b'{"id":9}', b'{"id":1}', b'{"id":1}']
    keyed = [records for records in found.records if records.key is not None]
    assert [key for records in keyed for key in records.key.to_pylist()] == keys
    assert [None if value is None else value["op"] for value in found.values] == [
        "u",
        "u",
        "d",
        None,
        "c",
        "d",
        None,
        "t",
    ]
    origins = [value["source"] for value in found.values if value]
    assert [origin["row"] for origin in origins] == [0, 1, 0, 0, 0, 0]
    assert origins[0]["pos"] == origins[1]["pos"] < origins[2]["pos"]
    assert all(_GTID.fullmatch(origin["gtid"]) and origin["server_id"] == 1 for origin in origins)


def test_a_flat_envelope_and_a_table_without_a_key(run: Any, url: str, tmp_path: Path) -> None:
    run("CREATE TABLE t (v integer)", "INSERT INTO t VALUES (1)")
    first = captured(source(url, envelope="flat"), tmp_path)
    run("INSERT INTO t VALUES (2)", "DELETE FROM t WHERE v = 1")
    found = captured(source(url, envelope="flat"), tmp_path, first.positions)
    assert [(each["v"], each["__op"]) for each in first.values + found.values] == [(1, "r"), (2, "c"), (1, "d")]
    assert all(records.key is None for records in found.records)


def test_changes_begin_where_the_snapshot_was_taken(mariadb: MariadbServer, run: Any, url: str, tmp_path: Path) -> None:
    run("CREATE TABLE t (id bigint AUTO_INCREMENT PRIMARY KEY, n integer)")
    run("INSERT INTO t (n) SELECT seq FROM seq_1_to_3000")
    done = threading.Event()

    def write() -> None:
        with mariadb.connected(url) as connection, connection.cursor() as cursor:
            number = 0
            while not done.is_set():
                number += 1
                cursor.execute("INSERT INTO t (n) VALUES (%s)", [number])
                cursor.execute("UPDATE t SET n = n + 1 WHERE id MOD 97 = %s", [number % 97])
                cursor.execute("DELETE FROM t WHERE id = %s", [number])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = captured(source(url, tombstones=False, splits=3), tmp_path)
    finally:
        done.set()
        writer.join()
    rest = captured(source(url, tombstones=False), tmp_path, found.positions)
    rows = replayed(rest, replayed(found))
    assert {key: row["n"] for key, row in rows.items()} == dict(mariadb.execute("SELECT id, n FROM t", url=url))


def test_without_a_snapshot_changes_begin_at_the_first_run(run: Any, url: str, tmp_path: Path) -> None:
    run("CREATE TABLE t (id integer PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    position = captured(source(url, snapshot="never"), tmp_path).positions
    run("INSERT INTO t VALUES (2)")
    assert captured(source(url, snapshot="never"), tmp_path, position).ops() == [("c", None, {"id": 2})]


def test_only_a_snapshot_is_taken_once(run: Any, url: str, tmp_path: Path) -> None:
    run("CREATE TABLE t (id integer PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    first = captured(source(url, snapshot="only"), tmp_path)
    run("INSERT INTO t VALUES (2)")
    assert first.ops() == [("r", None, {"id": 1})]
    assert not captured(source(url, snapshot="only"), tmp_path, first.positions).steps


def test_tables_of_one_topic_keep_their_order(run: Any, url: str, tmp_path: Path) -> None:
    run("CREATE TABLE a (id integer PRIMARY KEY)", "CREATE TABLE b (id integer PRIMARY KEY)")
    position = captured(source(url, "a", "b"), tmp_path, topic="all").positions
    run(*(f"INSERT INTO {table} VALUES ({number})" for number, table in enumerate("abbab")))
    found = captured(source(url, "a", "b"), tmp_path, position, topic="all")
    assert [after["id"] for _, _, after in found.ops()] == [0, 1, 2, 3, 4]
    apart = captured(source(url, "a", "b"), tmp_path, position)
    assert {
        records.topic: [value["after"]["id"] for value in records.value.to_pylist()] for records in apart.records
    } == {
        "a": [0, 3],
        "b": [1, 2, 4],
    }


def test_a_large_transaction_goes_on_in_its_middle(run: Any, url: str, tmp_path: Path) -> None:
    run("CREATE TABLE t (id integer PRIMARY KEY, pad text)")
    position = captured(source(url), tmp_path).positions
    run("INSERT INTO t SELECT seq, REPEAT('x', 500) FROM seq_1_to_3000", "INSERT INTO t VALUES (0, '')")
    numbers: list[int] = []
    middles = 0
    for _ in range(200):
        found = captured(source(url), tmp_path, position, batch_bytes=1, steps=1)
        numbers += [after["id"] for _, _, after in found.ops()]
        position = found.positions
        middles += position["changes"]["after"] > 0  # type: ignore[index]
        if not found.steps:
            break
    assert numbers == [*range(1, 3001), 0]
    assert middles > 3


def test_rollbacks_and_savepoints_leave_no_change(mariadb: MariadbServer, run: Any, url: str, tmp_path: Path) -> None:
    run("CREATE TABLE t (id integer PRIMARY KEY)")
    position = captured(source(url), tmp_path).positions
    run("BEGIN", "INSERT INTO t VALUES (1)", "ROLLBACK")
    run("BEGIN", "INSERT INTO t VALUES (2)", "SAVEPOINT s", "INSERT INTO t VALUES (3)", "ROLLBACK TO s", "COMMIT")
    assert captured(source(url), tmp_path, position).ops() == [("c", None, {"id": 2})]


@pytest.mark.parametrize("named", [True, False])
def test_a_table_may_be_altered_between_changes(
    mariadb: MariadbServer, run: Any, url: str, tmp_path: Path, named: bool
) -> None:
    mariadb.execute(f"SET GLOBAL binlog_row_metadata = {'FULL' if named else mariadb.least_metadata}")
    try:
        run("CREATE TABLE t (id integer PRIMARY KEY, w text)", "INSERT INTO t VALUES (1, 'a')")
        position = captured(source(url), tmp_path).positions
        run("INSERT INTO t VALUES (2, 'b')", "ALTER TABLE t RENAME COLUMN w TO v, ADD n bigint unsigned DEFAULT 7")
        run("INSERT INTO t VALUES (3, 'c', 8)")
        if not named:
            with pytest.raises(ConnectorError, match="has 3 columns, and had 2") as caught:
                captured(source(url), tmp_path, position)
            assert "binlog_row_metadata" in (caught.value.hint or "")
            return
        found = captured(source(url), tmp_path, position)
        assert found.ops() == [("c", None, {"id": 2, "w": "b"}), ("c", None, {"id": 3, "v": "c", "n": 8})]
    finally:
        mariadb.execute("SET GLOBAL binlog_row_metadata = FULL")


def test_without_metadata_the_catalogue_names_the_columns(
    mariadb: MariadbServer, run: Any, url: str, tmp_path: Path
) -> None:
    mariadb.execute(f"SET GLOBAL binlog_row_metadata = {mariadb.least_metadata}")
    try:
        run("CREATE TABLE t (id bigint unsigned PRIMARY KEY, m enum('a','it''s'), w varchar(9) CHARACTER SET latin1)")
        position = captured(source(url), tmp_path).positions
        run("INSERT INTO t VALUES (18446744073709551615, 'it''s', 'é')")
        found = captured(source(url), tmp_path, position)
        assert found.ops() == [("c", None, {"id": 2**64 - 1, "m": "it's", "w": "é"})]
        assert found.keys == [b'{"id":18446744073709551615}']
    finally:
        mariadb.execute("SET GLOBAL binlog_row_metadata = FULL")


def test_compressed_events_are_read(mariadb: MariadbServer, run: Any, url: str, tmp_path: Path) -> None:
    if mariadb.title != "MariaDB":
        pytest.skip("MySQL compresses whole transactions, which are refused")
    run("CREATE TABLE t (id integer PRIMARY KEY, pad text)")
    position = captured(source(url), tmp_path).positions
    mariadb.execute("SET GLOBAL log_bin_compress = ON")
    try:
        run("INSERT INTO t SELECT seq, REPEAT('x', 1000) FROM seq_1_to_5", "UPDATE t SET pad = REPEAT('y', 900)")
        run(f"TRUNCATE TABLE t /* {'long ' * 200} */")
    finally:
        mariadb.execute("SET GLOBAL log_bin_compress = OFF")
    found = captured(source(url), tmp_path, position)
    assert [op for op, *_ in found.ops()] == ["c"] * 5 + ["u"] * 5 + ["t"]
    assert found.ops()[5][2] == {"id": 1, "pad": "y" * 900}


def test_the_log_goes_on_in_new_files_and_through_a_restart(
    mariadb: MariadbServer, run: Any, url: str, tmp_path: Path
) -> None:
    run("CREATE TABLE t (id integer PRIMARY KEY)")
    position = captured(source(url), tmp_path).positions
    run("INSERT INTO t VALUES (1)", "FLUSH BINARY LOGS", "INSERT INTO t VALUES (2)")
    mariadb.stop()
    mariadb.start()
    run("INSERT INTO t VALUES (3)")
    found = captured(source(url), tmp_path, position)
    assert [after["id"] for _, _, after in found.ops()] == [1, 2, 3]
    assert captured(source(url), tmp_path, found.positions).ops() == []


# -- what goes wrong


def test_a_log_that_is_gone_is_said(mariadb: MariadbServer, run: Any, url: str, tmp_path: Path) -> None:
    run("CREATE TABLE t (id integer PRIMARY KEY)")
    position = captured(source(url), tmp_path).positions
    run("INSERT INTO t VALUES (1)", "FLUSH BINARY LOGS")
    file = mariadb.execute("SHOW MASTER STATUS")[0][0]
    for _ in range(600):  # a reader that has just ended may still hold a file
        mariadb.execute("SELECT SLEEP(0.1)", f"PURGE BINARY LOGS TO '{file}'")
        if mariadb.execute("SHOW BINARY LOGS")[0][0] == file:
            break
    with pytest.raises(PositionLost) as caught:
        captured(source(url), tmp_path, position)
    assert "expire_logs_days" in (caught.value.hint or "")


def test_another_log_of_the_same_name_is_noticed(mariadb: MariadbServer, run: Any, url: str, tmp_path: Path) -> None:
    run("CREATE TABLE t (id integer PRIMARY KEY)")
    position = captured(source(url), tmp_path).positions["changes"]
    gtid = "0-1-1" if mariadb.title == "MariaDB" else "123e4567-e89b-12d3-a456-426614174000:1"
    other = {"changes": {**position, "gtid": gtid}}  # type: ignore[dict-item]
    with pytest.raises(PositionLost, match="is not the one that this source has read"):
        captured(source(url), tmp_path, other)


@pytest.mark.parametrize(
    ("setting", "wrong", "right"), [("binlog_format", "MIXED", "ROW"), ("binlog_row_image", "MINIMAL", "FULL")]
)
def test_a_setting_that_is_wrong_is_named(
    mariadb: MariadbServer, run: Any, url: str, tmp_path: Path, setting: str, wrong: str, right: str
) -> None:
    run("CREATE TABLE t (id integer PRIMARY KEY)")
    mariadb.execute(f"SET GLOBAL {setting} = {wrong}")
    try:
        with pytest.raises(ConnectorError) as caught:
            source(url).check(tmp_path)
    finally:
        mariadb.execute(f"SET GLOBAL {setting} = {right}")
    assert f"SET GLOBAL {setting} = '{right}'" in (caught.value.hint or "")


def test_rows_without_all_columns_are_refused(mariadb: MariadbServer, run: Any, url: str, tmp_path: Path) -> None:
    run("CREATE TABLE t (id integer PRIMARY KEY, a integer, b integer)", "INSERT INTO t VALUES (1, 1, 1)")
    position = captured(source(url), tmp_path).positions
    run("SET SESSION binlog_row_image = MINIMAL", "UPDATE t SET a = 2")
    with pytest.raises(ConnectorError, match="without all of their columns"):
        captured(source(url), tmp_path, position)


def test_a_privilege_that_is_missing_is_named(mariadb: MariadbServer, run: Any, url: str, tmp_path: Path) -> None:
    run("CREATE TABLE t (id integer PRIMARY KEY)")
    name = url.rpartition("/")[2]
    mariadb.execute(f"GRANT SELECT ON {name}.* TO guest@'%'")
    with pytest.raises(ConnectorError) as caught:
        captured(source(url.replace("root@", "guest:secret@")), tmp_path)
    assert "GRANT REPLICATION SLAVE" in (caught.value.hint or "")
    assert "secret" not in str(caught.value)


def test_mysql_tells_a_place_under_its_lock_only(mariadb: MariadbServer, run: Any, url: str, tmp_path: Path) -> None:
    run("CREATE TABLE t (id integer PRIMARY KEY)", "CREATE USER IF NOT EXISTS bare@'%' IDENTIFIED BY 'secret'")
    run("GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO bare@'%'")
    bare = source(url.replace("root@", "bare:secret@"), splits=1)
    if mariadb.title == "MariaDB":
        run("GRANT BINLOG MONITOR ON *.* TO bare@'%'")
        captured(bare, tmp_path)
        return
    with pytest.raises(ConnectorError) as caught:
        captured(bare, tmp_path)
    assert "GRANT RELOAD" in (caught.value.hint or "")


def test_the_servers_own_number_is_refused(run: Any, url: str, tmp_path: Path) -> None:
    with pytest.raises(ConnectorError, match="is the server's own"):
        source(url, server_id=1).check(tmp_path)


def test_heartbeats_come_beside_the_changes(run: Any, url: str, tmp_path: Path) -> None:
    run("CREATE TABLE t (id integer PRIMARY KEY)")
    begun = captured(source(url, heartbeat="1h", heartbeat_topic="beats"), tmp_path)
    run("INSERT INTO t VALUES (1)")
    found = captured(source(url, heartbeat="1h", heartbeat_topic="beats"), tmp_path, begun.positions)
    beats = [records for records in found.records if records.topic == "beats"]
    assert [records.key.to_pylist() for records in beats] == [[b'{"serverName":"in"}']]
    assert "ts_ms" in beats[0].value.to_pylist()[0]
    assert [records.topic for records in found.records if records.topic != "beats"] == ["t"]
