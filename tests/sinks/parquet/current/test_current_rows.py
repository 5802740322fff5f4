"""Mode ``apply``: after each commit the files hold the newest row of each key, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from current_rows import Change, CurrentTable, apply, commit, put, records_of_changes, row, values

from ingest.connectors import Records
from ingest.errors import ConfigError, RecordRefused
from ingest.sources.databases.changes import UNAVAILABLE


@pytest.fixture
def table(tmp_path: Path) -> CurrentTable:
    return CurrentTable(tmp_path)


@pytest.mark.parametrize("envelope", ["debezium", "flat"])
def test_inserts_updates_and_deletes_are_followed(table: CurrentTable, envelope: Any) -> None:
    with table.opened() as task:
        at = apply(task, 0, ("r", None, row(1, "a")), ("c", None, row(2, "b")), envelope=envelope)
        at = apply(task, at, ("u", None, row(1, "A")), ("d", row(2, None), None), envelope=envelope)
        assert table.words() == {1: "A"}
        apply(task, at, ("c", None, row(2, "new")), ("d", row(1, None), None), envelope=envelope)
    assert table.words() == {2: "new"}
    assert table.by_duckdb() == [(2, "new")]


def test_of_many_changes_of_a_key_in_a_commit_the_last_counts(table: CurrentTable) -> None:
    changes: list[Change] = [
        ("c", None, row(1, "a")),
        ("u", None, row(1, "b")),
        ("d", row(1, None), None),
        ("c", None, row(1, "c")),
        ("c", None, row(2, "x")),
        ("d", row(2, None), None),
    ]
    with table.opened() as task:
        apply(task, 0, *changes)
    assert table.words() == {1: "c"}


def test_a_key_that_changes_moves_its_row(table: CurrentTable) -> None:
    with table.opened() as task:
        at = apply(task, 0, ("c", None, row(1, "a")))
        apply(task, at, ("u", row(1, None), row(5, "a")))
    assert table.words() == {5: "a"}


def test_a_truncation_empties_the_table_which_stays_one_for_readers(table: CurrentTable) -> None:
    with table.opened() as task:
        at = apply(task, 0, ("c", None, row(1, "a")), ("c", None, row(2, "b")))
        at = apply(task, at, ("t", None, None))
        assert table.by_duckdb() == []
        apply(task, at, ("c", None, row(3, "c")), ("t", None, None), ("c", None, row(4, "d")))
    assert table.words() == {4: "d"}


def test_a_value_that_was_not_sent_stays_what_it_is_in_the_table(table: CurrentTable) -> None:
    with table.opened() as task:
        at = apply(task, 0, ("c", None, row(1, "large")), ("c", None, row(2, "b")))
        apply(task, at, ("u", None, row(1, UNAVAILABLE)), ("u", None, row(2, "B")))
    assert table.words() == {1: "large", 2: "B"}


def test_a_value_that_was_not_sent_is_that_of_an_earlier_change_in_the_commit(table: CurrentTable) -> None:
    with table.opened() as task:
        apply(task, 0, ("c", None, row(1, "large")), ("c", None, row(2, "b")), ("u", None, row(1, UNAVAILABLE)))
    assert table.words() == {1: "large", 2: "b"}


def test_a_value_that_was_not_sent_after_a_delete_is_not_that_of_the_deleted_row(table: CurrentTable) -> None:
    with table.opened() as task:
        at = apply(task, 0, ("c", None, row(1, "old")))
        put(task, at, records_of_changes(("d", row(1, None), None), ("c", None, row(1, UNAVAILABLE))))
        assert [(letter.error, letter.offset) for letter in commit(task).dead] == [("RowMissing", at + 2)]
    # the delete is no less true for that
    assert table.words() == {}


def test_a_value_that_nobody_ever_sent_makes_a_dead_letter_and_no_row(table: CurrentTable) -> None:
    with table.opened() as task:
        put(task, 0, records_of_changes(("u", None, row(1, UNAVAILABLE)), ("c", None, row(2, "b"))))
        assert [(letter.error, letter.offset) for letter in commit(task).dead] == [("RowMissing", 0)]
    assert table.words() == {2: "b"}


def test_a_dead_letter_stops_the_sink_where_none_are_tolerated(table: CurrentTable) -> None:
    with table.opened(tolerate=False) as task:
        put(task, 0, records_of_changes(("u", None, row(1, UNAVAILABLE))))
        with pytest.raises(RecordRefused, match="did not send the value of word"):
            task.flush(force=True)


def test_rows_that_are_no_changes_are_the_newest_of_their_key_and_tombstones_delete(table: CurrentTable) -> None:
    keys = [b'{"id":1}', b'{"id":2}', b'{"id":1}']
    with table.opened() as task:
        at = put(task, 0, values(row(1, "a"), row(2, "b"), row(1, "c"), keys=keys))
        commit(task)
        assert table.words() == {1: "c", 2: "b"}
        put(task, at, Records(value=pa.nulls(1), key=pa.array([b'{"id":1}'], pa.binary())))
        commit(task)
    assert table.words() == {2: "b"}


def test_partitions_of_a_topic_make_one_table(table: CurrentTable) -> None:
    with table.opened() as task:
        put(task, 0, records_of_changes(("c", None, row(1, "a"))), partition=0)
        put(task, 0, records_of_changes(("c", None, row(2, "b"))), partition=1)
        commit(task)
        put(task, 1, records_of_changes(("u", None, row(1, "A"))), partition=0)
        commit(task)
    assert table.words() == {1: "A", 2: "b"}


def test_a_new_run_goes_on_from_what_is_there(table: CurrentTable) -> None:
    with table.opened() as task:
        at = apply(task, 0, ("c", None, row(1, "a")), ("c", None, row(2, "b")))
    with table.opened() as task:
        assert list(task.standing.last.offsets.values()) == [at]  # type: ignore[attr-defined]
        apply(task, at, ("u", None, row(2, "B")))
    assert table.words() == {1: "a", 2: "B"}


def test_records_without_a_key_are_refused_with_what_to_do(table: CurrentTable) -> None:
    with table.opened() as task, pytest.raises(ConfigError, match="records of events have no key"):
        put(task, 0, values(row(1, "a")))


def test_a_key_that_names_no_column_is_refused_with_the_one_that_was_meant(table: CurrentTable) -> None:
    with table.opened(key=["idd"]) as task, pytest.raises(ConfigError, match="no column idd") as caught:
        put(task, 0, values(row(1, "a")))
    assert caught.value.hint == "did you mean id?"


def test_texts_are_refused_with_what_to_do(table: CurrentTable) -> None:
    with table.opened(key=["id"]) as task, pytest.raises(ConfigError, match="values of events are string"):
        put(task, 0, Records(value=pa.array(["a line"])))


def test_a_second_topic_is_refused(table: CurrentTable) -> None:
    with table.opened() as task:
        apply(task, 0, ("c", None, row(1, "a")))
        with pytest.raises(ConfigError, match="of events and of other"):
            put(task, 0, records_of_changes(("c", None, row(1, "b"))), topic="other")
