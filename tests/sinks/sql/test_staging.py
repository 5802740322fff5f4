"""``load: staged`` and ``load: replace``: readers of the table see all rows of a run, or none."""

from __future__ import annotations

from pathlib import Path

import pytest
from sql_targets import Target, context, delivery, opened, put_all, rows_of, selected, sink_of

from ingest.connectors import Standing
from ingest.connectors.testing import Crash
from ingest.errors import ConnectorError
from ingest.failpoints import FailPoints

OLD = [{"id": 1, "word": "old"}, {"id": 2, "word": "old"}]
NEW = [{"id": 2, "word": "new"}, {"id": 3, "word": "new"}]


def fill(target: Target) -> None:
    target.execute("CREATE TABLE target (id integer PRIMARY KEY, word varchar(20))")
    target.execute("INSERT INTO target VALUES (1, 'old'), (2, 'old')")


def test_rows_wait_beside_the_table_until_all_are_there(target: Target, tmp_path: Path) -> None:
    fill(target)
    with opened(target, tmp_path, load="staged") as task:
        put_all(task, delivery(rows_of({"id": 3, "word": "new"})))
        put_all(task, delivery(rows_of({"id": 4, "word": "new"}), 1))
        assert selected(target) == [(1, "old"), (2, "old")]
        assert selected(target, table="target_staging") == [(3, "new"), (4, "new")]
        task.finish()
    assert selected(target) == [(1, "old"), (2, "old"), (3, "new"), (4, "new")]
    assert selected(target, table="target_staging") == []


def test_rows_take_the_place_of_those_before(target: Target, tmp_path: Path) -> None:
    fill(target)
    with opened(target, tmp_path, load="replace") as task:
        put_all(task, delivery(rows_of(*NEW)))
        task.finish()
    assert selected(target) == [(2, "new"), (3, "new")]


def test_rows_that_wait_change_those_of_their_key(target: Target, tmp_path: Path) -> None:
    fill(target)
    with opened(target, tmp_path, load="staged", mode="upsert", key="id", staging_table="waiting") as task:
        put_all(task, delivery(rows_of(*NEW)))
        task.finish()
    assert selected(target) == [(1, "old"), (2, "new"), (3, "new")]


def test_a_table_that_is_not_there_is_made(target: Target, tmp_path: Path) -> None:
    with opened(target, tmp_path, load="replace", key="id") as task:
        put_all(task, delivery(rows_of(*NEW)))
        assert selected(target) == []
        task.finish()
    assert selected(target) == [(2, "new"), (3, "new")]


def test_a_stop_before_the_end_leaves_the_table_as_it_is_and_the_next_run_ends_it(
    target: Target, tmp_path: Path
) -> None:
    fill(target)
    with opened(target, tmp_path, load="replace") as task:
        put_all(task, delivery(rows_of(NEW[0])))
    assert selected(target) == [(1, "old"), (2, "old")]
    with opened(target, tmp_path, epoch=2, load="replace") as task:
        put_all(task, delivery(rows_of(NEW[1]), 1))
        task.finish()
    assert selected(target) == [(2, "new"), (3, "new")]


@pytest.mark.parametrize("name", ["sql.moved", "sql.finished"])
def test_a_crash_at_the_end_moves_the_rows_once(target: Target, tmp_path: Path, name: str) -> None:
    fill(target)
    fail = FailPoints()
    fail.arm(name, _crash)
    task = sink_of(target.url, load="replace").task()
    assert isinstance(task.open(context(tmp_path, fail=fail)), Standing)
    put_all(task, delivery(rows_of(*NEW)))
    with pytest.raises(Crash):
        task.finish()
    task.close()
    with opened(target, tmp_path, epoch=2, load="replace") as again:
        again.finish()
        again.finish()
    assert selected(target) == [(2, "new"), (3, "new")]


def test_rows_that_the_table_refuses_stay_where_they_wait(target: Target, tmp_path: Path) -> None:
    fill(target)
    with opened(target, tmp_path, load="staged") as task:
        put_all(task, delivery(rows_of(*NEW)))
        with pytest.raises(ConnectorError, match="cannot go to target"):
            task.finish()
    assert selected(target) == [(1, "old"), (2, "old")]
    assert selected(target, table="target_staging") == [(2, "new"), (3, "new")]


def test_a_row_that_the_table_would_refuse_is_refused_where_it_waits(target: Target, tmp_path: Path) -> None:
    target.execute("CREATE TABLE target (id integer PRIMARY KEY, word varchar(20) NOT NULL, code integer UNIQUE)")
    with opened(target, tmp_path, load="staged", mode="upsert", key="code") as task:
        commit = put_all(
            task,
            delivery(rows_of({"id": 1, "word": "a", "code": 7}, {"id": 2, "word": None, "code": 8})),
            delivery(rows_of({"id": 1, "word": "b", "code": 7}), 2),
        )
        task.finish()
    assert [letter.offset for letter in commit.dead] == [1]
    assert selected(target, ["id", "word", "code"]) == [(1, "b", 7)]


def test_rows_of_others_in_the_staging_table_are_not_taken(target: Target, tmp_path: Path) -> None:
    fill(target)
    target.execute("CREATE TABLE target_staging (id integer, word varchar(20))")
    target.execute("INSERT INTO target_staging VALUES (9, 'whose?')")
    with opened(target, tmp_path, load="staged") as task:
        task.put(delivery(rows_of({"id": 3, "word": "new"})))
        with pytest.raises(ConnectorError, match="has rows that this sink has not written"):
            task.flush(force=True)
    with opened(target, tmp_path, epoch=2, load="staged", clear_staging=True) as task:
        put_all(task, delivery(rows_of({"id": 3, "word": "new"})))
        task.finish()
    assert selected(target) == [(1, "old"), (2, "old"), (3, "new")]


def _crash() -> None:
    raise Crash
