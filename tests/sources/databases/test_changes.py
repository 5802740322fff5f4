"""Changes in their envelope: as Debezium lays them out."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from ingest.connectors import Records
from ingest.sources.databases.changes import TRANSACTION, Changes, records_of
from ingest.sources.databases.tables import ColumnInfo, TableInfo

ROW = pa.struct([("id", pa.int64()), ("name", pa.string())])
NAMES = ("id", "name")
SOURCE = pa.struct([("table", pa.string()), ("lsn", pa.int64())])


def table(*key: str) -> TableInfo:
    columns = [ColumnInfo("id", "int8", pa.int64(), '"id"'), ColumnInfo("name", "text", pa.string(), '"name"')]
    return TableInfo("public", "people", "public.people", columns, key)


def changes(*rows: tuple[str, Any, Any], key: tuple[str, ...] = ("id",), transaction: bool = False) -> Changes:
    def side(place: int) -> pa.StructArray:
        return pa.array(
            [None if row[place] is None else dict(zip(NAMES, row[place], strict=True)) for row in rows], ROW
        )

    return Changes(
        table(*key),
        pa.array([row[0] for row in rows], pa.string()),
        side(1),
        side(2),
        pa.array([{"table": "people", "lsn": number} for number in range(len(rows))], SOURCE),
        pa.array([1000] * len(rows), pa.int64()),
        pa.array([{"id": "7"} for _ in rows], TRANSACTION) if transaction else None,
    )


def listed(records: Records) -> list[tuple[Any, ...]]:
    keys = (
        [None] * len(records) if records.key is None else [key and json.loads(key) for key in records.key.to_pylist()]
    )
    rows = records.value.to_pylist()
    return [
        (key, *((None,) if row is None else (row["op"], row["before"], row["after"])))
        for key, row in zip(keys, rows, strict=True)
    ]


def enveloped(*rows: tuple[str, Any, Any], tombstones: bool = True, **how: Any) -> list[tuple[Any, ...]]:
    return listed(records_of(changes(*rows, **how), source="in", topic="t", tombstones=tombstones))


ANN, ANNA = {"id": 1, "name": "Ann"}, {"id": 1, "name": "Anna"}


def test_an_insert_an_update_and_a_read_are_one_record_each() -> None:
    assert enveloped(("c", None, (1, "Ann")), ("u", (1, "Ann"), (1, "Anna")), ("r", None, (1, "Anna"))) == [
        ({"id": 1}, "c", None, ANN),
        ({"id": 1}, "u", ANN, ANNA),
        ({"id": 1}, "r", None, ANNA),
    ]


def test_an_update_whose_old_row_is_not_known_keeps_its_key() -> None:
    assert enveloped(("u", None, (1, "Anna"))) == [({"id": 1}, "u", None, ANNA)]


def test_a_delete_is_followed_by_a_tombstone() -> None:
    assert enveloped(("d", (1, "Ann"), None), ("c", None, (1, "Anna"))) == [
        ({"id": 1}, "d", ANN, None),
        ({"id": 1}, None),
        ({"id": 1}, "c", None, ANNA),
    ]


def test_an_update_of_the_key_is_a_delete_a_tombstone_and_an_insert() -> None:
    moved = {"id": 2, "name": "Ann"}
    assert enveloped(("u", (1, "Ann"), (2, "Ann")), ("u", (2, "Ann"), (2, "Ann"))) == [
        ({"id": 1}, "d", ANN, None),
        ({"id": 1}, None),
        ({"id": 2}, "c", None, moved),
        ({"id": 2}, "u", moved, moved),
    ]


def test_without_tombstones_only_the_changes_remain() -> None:
    rows = enveloped(("d", (1, "Ann"), None), ("u", (1, "Ann"), (2, "Ann")), tombstones=False)
    assert [row[:2] for row in rows] == [({"id": 1}, "d"), ({"id": 1}, "d"), ({"id": 2}, "c")]


def test_a_table_without_a_key_has_records_without_keys_and_no_tombstones() -> None:
    assert enveloped(("d", (1, "Ann"), None), ("u", (1, "Ann"), (2, "Ann")), key=()) == [
        (None, "d", ANN, None),
        (None, "u", ANN, {"id": 2, "name": "Ann"}),
    ]


def test_a_truncate_has_neither_key_nor_rows() -> None:
    assert enveloped(("t", None, None)) == [(None, "t", None, None)]


def test_a_key_of_several_columns_is_named_in_the_order_of_the_key() -> None:
    records = records_of(changes(("c", None, (1, "Ann")), key=("name", "id")), source="in", topic="t")
    assert records.key is not None
    assert records.key.to_pylist() == [b'{"name":"Ann","id":1}']


def test_the_transaction_and_the_source_travel_with_each_part() -> None:
    records = records_of(changes(("u", (1, "a"), (2, "a")), transaction=True), source="in", topic="{schema}.{table}")
    assert records.topic == "public.people"
    first, tombstone, last = records.value.to_pylist()
    assert tombstone is None
    assert first["source"] == last["source"] == {"table": "people", "lsn": 0}
    assert (
        first["transaction"] == last["transaction"] == {"id": "7", "total_order": None, "data_collection_order": None}
    )


def test_the_flat_form_is_the_row_with_marks() -> None:
    records = records_of(
        changes(("c", None, (1, "Ann")), ("d", (1, "Ann"), None)),
        source="in",
        topic="t",
        envelope="flat",
        tombstones=False,
    )
    rows = [
        {name: row[name] for name in ("id", "name", "__op", "__deleted", "__ts_ms")}
        for row in records.value.to_pylist()
    ]
    assert rows == [
        ANN | {"__op": "c", "__deleted": False, "__ts_ms": 1000},
        ANN | {"__op": "d", "__deleted": True, "__ts_ms": 1000},
    ]


def test_no_changes_are_no_records() -> None:
    assert enveloped() == []
