"""Mode ``apply``: after each commit the table equals what the changes were made to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sql_targets import SqliteTarget, Target, delivery, opened, put_all, rows_of, selected

from ingest.connectors import SinkTask
from ingest.sources.databases.changes import UNAVAILABLE, Changes, records_of
from ingest.sources.databases.tables import ColumnInfo, TableInfo

ROW = pa.struct([("id", pa.int64()), ("word", pa.string())])
TABLE = TableInfo(
    "public",
    "words",
    "words",
    [ColumnInfo("id", "bigint", pa.int64(), "id"), ColumnInfo("word", "text", pa.string(), "word")],
    ["id"],
)
Change = tuple[str, dict[str, Any] | None, dict[str, Any] | None]


def changes_of(*changes: Change) -> Changes:
    ops, befores, afters = zip(*changes, strict=True)
    return Changes(
        table=TABLE,
        op=pa.array(ops, pa.string()),
        before=pa.array(befores, ROW),
        after=pa.array(afters, ROW),
        source=pa.array([{"table": "words"}] * len(changes)),
        ts_ms=pa.array([0] * len(changes), pa.int64()),
    )


def apply(task: SinkTask, start: int, *changes: Change, envelope: Any = "debezium") -> int:
    """Commits these changes; returns the next offset."""
    records = records_of(changes_of(*changes), source="db", topic="events", envelope=envelope)
    put_all(task, delivery(records.value, start, key=records.key))
    return start + len(records)


def row(number: int, word: str | None) -> dict[str, Any]:
    return {"id": number, "word": word}


@pytest.mark.parametrize("envelope", ["debezium", "flat"])
def test_inserts_updates_and_deletes_are_followed(target: Target, tmp_path: Path, envelope: str) -> None:
    with opened(target, tmp_path, mode="apply") as task:
        at = apply(task, 0, ("r", None, row(1, "a")), ("c", None, row(2, "b")), envelope=envelope)
        at = apply(task, at, ("u", None, row(1, "A")), ("d", row(2, None), None), envelope=envelope)
        assert selected(target) == [(1, "A")]
        apply(task, at, ("c", None, row(2, "new")), ("d", row(1, None), None), envelope=envelope)
    assert selected(target) == [(2, "new")]


def test_a_key_that_changes_moves_its_row(target: Target, tmp_path: Path) -> None:
    with opened(target, tmp_path, mode="apply") as task:
        at = apply(task, 0, ("c", None, row(1, "a")))
        apply(task, at, ("u", row(1, None), row(5, "a")))
    assert selected(target) == [(5, "a")]


def test_an_update_of_a_key_that_no_source_has_split_moves_its_row(target: Target, tmp_path: Path) -> None:
    value = rows_of(
        {"op": "c", "before": None, "after": row(1, "a")}, {"op": "u", "before": row(1, "a"), "after": row(2, "b")}
    )
    with opened(target, tmp_path, mode="apply", key="id") as task:
        put_all(task, delivery(value.slice(0, 1)), delivery(value.slice(1), 1))
    assert selected(target) == [(2, "b")]


def test_of_many_changes_of_a_key_in_a_batch_the_last_counts(target: Target, tmp_path: Path) -> None:
    with opened(target, tmp_path, mode="apply") as task:
        apply(
            task,
            0,
            ("c", None, row(1, "a")),
            ("u", None, row(1, "b")),
            ("d", row(1, None), None),
            ("c", None, row(1, "c")),
            ("c", None, row(2, "x")),
            ("d", row(2, None), None),
        )
    assert selected(target) == [(1, "c")]


@pytest.mark.parametrize("mode", ["apply", "upsert"])
def test_where_the_last_change_of_a_key_is_refused_the_one_before_it_stays(
    target: Target, tmp_path: Path, mode: str
) -> None:
    target.execute("CREATE TABLE target (id integer PRIMARY KEY, word varchar(40) NOT NULL)")
    words = ["a", "b", None, "c", None, None]
    with opened(target, tmp_path, mode=mode, key="id") as task:
        if mode == "upsert":
            value = rows_of(*[row(1, word) for word in words], row(2, None), row(3, "x"))
            commit = put_all(task, delivery(value))
        else:
            changes = changes_of(*[("u", None, row(1, word)) for word in words], ("c", None, row(2, None)))
            records = records_of(changes, source="db", topic="events")
            commit = put_all(task, delivery(records.value, key=records.key))
    assert selected(target) == [(1, "c")] + [(3, "x")] * (mode == "upsert")
    assert sorted(letter.offset for letter in commit.dead) == [4, 5, 6]


def test_a_truncation_voids_what_was_before_it(target: Target, tmp_path: Path) -> None:
    with opened(target, tmp_path, mode="apply") as task:
        at = apply(task, 0, ("c", None, row(1, "a")), ("c", None, row(2, "b")))
        apply(task, at, ("c", None, row(3, "c")), ("t", None, None), ("c", None, row(4, "d")))
    assert selected(target) == [(4, "d")]


def test_a_truncation_alone_empties_the_table(target: Target, tmp_path: Path) -> None:
    with opened(target, tmp_path, mode="apply", key="id") as task:
        at = apply(task, 0, ("c", None, row(1, "a")))
        apply(task, at, ("t", None, None))
    assert selected(target) == []


def test_a_value_that_was_not_sent_stays_what_it_is_in_the_table(target: Target, tmp_path: Path) -> None:
    with opened(target, tmp_path, mode="apply") as task:
        at = apply(task, 0, ("c", None, row(1, "large")), ("c", None, row(2, "b")))
        apply(task, at, ("u", None, row(1, UNAVAILABLE)), ("u", None, row(2, "B")))
    assert selected(target) == [(1, "large"), (2, "B")]


def test_a_value_that_was_not_sent_is_that_of_an_earlier_change_in_the_batch(target: Target, tmp_path: Path) -> None:
    with opened(target, tmp_path, mode="apply") as task:
        apply(task, 0, ("c", None, row(1, "large")), ("c", None, row(2, "b")), ("u", None, row(1, UNAVAILABLE)))
    assert selected(target) == [(1, "large"), (2, "b")]


def test_a_value_that_nobody_ever_sent_makes_a_dead_letter_and_no_row(target: Target, tmp_path: Path) -> None:
    with opened(target, tmp_path, mode="apply") as task:
        records = records_of(changes_of(("u", None, row(1, UNAVAILABLE))), source="db", topic="events")
        commit = put_all(task, delivery(records.value, key=records.key))
    assert [letter.error for letter in commit.dead] == ["RowMissing"]
    assert selected(target) == []


def test_a_tombstone_alone_deletes_by_the_key_of_its_record(target: Target, tmp_path: Path) -> None:
    value = rows_of(row(1, "a"), row(2, "b"))
    keys = pa.array([b'{"id":1}', b'{"id":2}'], pa.binary())
    with opened(target, tmp_path, mode="upsert", key="id") as task:
        put_all(task, delivery(value, key=keys))
        put_all(task, delivery(pa.nulls(1, value.type), 2, key=keys.slice(0, 1)))
    assert selected(target) == [(2, "b")]


def test_a_bare_key_names_the_row_where_the_key_is_one_column(target: Target, tmp_path: Path) -> None:
    value = rows_of(row(1, "a"), row(2, "b"))
    with opened(target, tmp_path, mode="upsert", key="id") as task:
        put_all(task, delivery(value))
        put_all(task, delivery(pa.nulls(1, value.type), 2, key=pa.array([b"2"], pa.binary())))
    assert selected(target) == [(1, "a")]


def test_a_deletion_whose_row_nobody_can_tell_is_a_dead_letter(target: Target, tmp_path: Path) -> None:
    value = rows_of(row(1, "a"))
    with opened(target, tmp_path, mode="upsert", key="id") as task:
        put_all(task, delivery(value))
        commit = put_all(task, delivery(pa.nulls(1, value.type), 1))
    assert [(letter.offset, letter.error) for letter in commit.dead] == [(1, "ChangeUnreadable")]
    assert selected(target) == [(1, "a")]


numbers = st.integers(1, 4)
words = st.none() | st.sampled_from(["", "x", "größer", 'a"b,\n', "\\N"])


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[list[Change]], dict[int, str | None]]:
    """Batches of changes that a database could have made, and its rows in the end."""
    rows: dict[int, str | None] = {}
    batches: list[list[Change]] = []
    for size in draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)):
        batches.append([draw_change(draw, rows) for _ in range(size)])
    return batches, rows


def draw_change(draw: st.DrawFn, rows: dict[int, str | None]) -> Change:
    number, word = draw(numbers), draw(words)
    if draw(st.integers(0, 20)) == 0:
        rows.clear()
        return "t", None, None
    if number not in rows:
        rows[number] = word
        return "c", None, row(number, word)
    choice = draw(st.sampled_from("dukt"))
    if choice == "d":
        del rows[number]
        return "d", row(number, None), None
    if choice == "k" and (free := sorted({1, 2, 3, 4} - set(rows))):
        del rows[number]
        rows[free[0]] = word
        return "u", row(number, None), row(free[0], word)
    if choice == "t":
        return "u", None, row(number, UNAVAILABLE)
    rows[number] = word
    return "u", None, row(number, word)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
def test_any_history_ends_as_its_table(tmp_path_factory: pytest.TempPathFactory, history: Any) -> None:
    folder = tmp_path_factory.mktemp("history")
    run_history(SqliteTarget(folder), folder, history)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
def test_any_history_ends_as_its_table_in_a_server(target: Target, tmp_path: Path, history: Any) -> None:
    if target.kind == "sqlite":
        return
    target.execute("DROP TABLE IF EXISTS target", "DROP TABLE IF EXISTS _ingest_positions")
    run_history(target, tmp_path, history)


def run_history(target: Target, folder: Path, history: tuple[list[list[Change]], dict[int, str | None]]) -> None:
    batches, rows = history
    at = 0
    with opened(target, folder, mode="apply", key="id") as task:
        for batch in batches:
            at = apply(task, at, *batch)
        if any(change[0] != "t" for batch in batches for change in batch):
            assert selected(target) == sorted(rows.items(), key=repr)
