"""How the files of current rows are divided, rewritten, hidden and removed; and what else touches them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from current_rows import CurrentTable, apply, commit, put, records_of_changes, row, values
from lake import Lake, numbers

from ingest.connectors.testing import Crash
from ingest.environment import Environment
from ingest.errors import ConfigError
from ingest.sinks.lake.buckets import divided, leaves
from ingest.sinks.lake.checking import check_table
from ingest.sinks.parquet.compaction.compactor import Compactor
from ingest.sinks.parquet.compaction.settings import CompactSettings
from ingest.sinks.parquet.settings import ParquetSettings
from ingest.sources.databases.changes import UNAVAILABLE


@pytest.fixture
def table(tmp_path: Path) -> CurrentTable:
    return CurrentTable(tmp_path)


def inserted(task: object, count: int, word: str = "a") -> int:
    return apply(task, 0, *[("c", None, row(number, word)) for number in range(count)])  # type: ignore[arg-type]


def hidden(table: CurrentTable) -> list[Path]:
    return sorted(table.root.glob(".*.old"))


def test_only_the_files_that_a_change_touches_are_rewritten(table: CurrentTable) -> None:
    with table.opened(roll={"rows": 50}) as task:
        at = inserted(task, 400)
        before = set(table.files())
        assert len(before) >= 8
        apply(task, at, ("u", None, row(7, "new")))
    assert len(before - set(table.files())) == 1
    assert len(hidden(table)) == 1
    assert table.words() == {number: "new" if number == 7 else "a" for number in range(400)}


def test_a_file_that_grows_is_divided(table: CurrentTable) -> None:
    with table.opened(roll={"rows": 100}) as task:
        at = inserted(task, 90)
        assert len(table.files()) == 1
        apply(task, at, *[("c", None, row(number, "b")) for number in range(90, 400)])
    rows = [pq.read_metadata(file).num_rows for file in table.files()]
    assert sum(rows) == 400
    assert max(rows) <= 130


def test_what_waits_beyond_memory_goes_to_the_scratch_folder_and_leaves_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    settings = {"memory": "1MiB", "merge": {"scratch": "scratch", "waiting": "1GiB"}}
    table = CurrentTable(tmp_path, settings)
    with table.opened() as task:
        at = 0
        for part in range(10):
            changes = [
                ("c", None, row(number, f"{part} " + "x" * 500)) for number in range(part * 400, part * 400 + 800)
            ]
            at = put(task, at, records_of_changes(*changes))  # type: ignore[arg-type]
        assert task._merged._waiting._runs
        assert task._merged._waiting._held_bytes < 2**20
        commit(task)
    assert {number: word and word[0] for number, word in table.words().items()} == {
        number: str(min(number // 400, 9)) for number in range(4400)
    }
    assert list((tmp_path / "scratch").iterdir()) == []


def test_rewritten_files_are_removed_after_their_grace_also_by_a_later_run(table: CurrentTable) -> None:
    with table.opened() as task:
        at = inserted(task, 3)
        at = apply(task, at, ("u", None, row(1, "b")))
        assert len(hidden(table)) == 1
    with table.opened() as task:
        assert task.next_flush_ms() == 600_000
        table.clock.wall_ms += 600_000
        assert task.flush() is None
        assert hidden(table) == []
        at = apply(task, at, ("u", None, row(1, "c")))
    with table.opened() as task:
        assert len(hidden(table)) == 1
        assert task.next_flush_ms() == 600_000


@pytest.mark.parametrize("waiting", [True, False])
def test_new_columns_and_wider_types_reach_the_rows_that_are_rewritten(table: CurrentTable, waiting: bool) -> None:
    wide = pa.struct([("id", pa.int64()), ("word", pa.string()), ("n", pa.float64())])
    narrow = pa.struct([("id", pa.int32()), ("word", pa.string())])
    with table.opened() as task:
        at = put(task, 0, records_of_changes(("c", None, row(1, "a")), ("c", None, row(2, "b")), row=narrow))
        if not waiting:
            commit(task)
        put(task, at, records_of_changes(("u", None, row(2, UNAVAILABLE) | {"n": 0.5}), row=wide))
        commit(task)
    assert table.rows() == {1: {"id": 1, "word": "a", "n": None}, 2: {"id": 2, "word": "b", "n": 0.5}}


def test_a_key_whose_type_is_widened_is_still_the_same_key(table: CurrentTable) -> None:
    seconds, micros = (pa.struct([("id", pa.timestamp(unit)), ("word", pa.string())]) for unit in ("s", "us"))
    with table.opened(roll={"rows": 20}) as task:
        at = apply(task, 0, *[("c", None, row(number, "a")) for number in range(60)], row=seconds)
        at = put(task, at, records_of_changes(("u", None, row(7, "waits")), ("d", row(9, None), None), row=seconds))
        micro = [number * 1_000_000 for number in range(60)]
        put(
            task,
            at,
            records_of_changes(("u", None, row(micro[3], "b")), ("u", None, row(micro[7], UNAVAILABLE)), row=micros),
        )
        commit(task)
    words = sorted((found["id"].second, found["word"]) for found in table.rows().values())
    assert words == [(n, {3: "b", 7: "waits"}.get(n, "a")) for n in range(60) if n != 9]
    assert check_table("lake", table.folder, repair=False) == []


def test_compaction_leaves_current_rows_alone(table: CurrentTable) -> None:
    with table.opened(roll={"rows": 10}) as task:
        inserted(task, 100)
    before = table.files()
    sink = ParquetSettings(url="lake")
    compactor = Compactor.of_sink(sink, CompactSettings(), "site~lake", table.folder, Environment(), thorough=True)
    assert compactor.run().merged == []
    assert table.files() == before
    assert check_table("lake", table.folder, repair=False) == []


def test_check_tells_of_a_commit_that_was_cut_off_and_finishes_it(table: CurrentTable) -> None:
    task = table.open()
    at = inserted(task, 3)
    put(task, at, records_of_changes(("u", None, row(1, "new"))))
    table.fail.arm("lake.manifest.put", crash)
    with pytest.raises(Crash):
        task.flush(force=True)
    assert table.words()[1] == "a"
    assert any("cut off" in each.problem for each in check_table("lake", table.folder, repair=False))
    assert all(each.repaired for each in check_table("lake", table.folder, repair=True))
    assert check_table("lake", table.folder, repair=False) == []
    assert table.words()[1] == "new"


def test_check_tells_of_old_rows_that_came_back_and_of_keys_that_are_there_twice(table: CurrentTable) -> None:
    with table.opened() as task:
        at = inserted(task, 3)
        at = apply(task, at, ("u", None, row(1, "new")))
        apply(task, at, ("u", None, row(2, "new")))
    old = hidden(table)[0]
    visible = old.with_name(old.name[1:].removesuffix(".old"))
    visible.write_bytes(old.read_bytes())
    found = check_table("lake", table.folder, repair=True)
    assert ["rewritten it, and it is there" in each.problem for each in found] == [True]
    assert not visible.exists()
    [live] = table.files()
    rows = pq.ParquetFile(live).read()
    pq.write_table(pa.concat_tables([rows, rows.slice(0, 1)]), live)
    problems = [each.problem for each in check_table("lake", table.folder, repair=False)]
    assert "1 of its rows have a key that another row has" in problems


def test_history_and_current_rows_do_not_follow_each_other_in_one_table(tmp_path: Path) -> None:
    lake, table = Lake(tmp_path), CurrentTable(tmp_path)
    task = lake.open()
    lake.write(task, 0, numbers(0, 3))
    with pytest.raises(ConfigError, match="holds the history of changes"):
        table.open(epoch=2)
    other = CurrentTable(tmp_path / "other")
    with other.opened() as opened:
        inserted(opened, 3)
    with pytest.raises(ConfigError, match="holds the newest row of each key"):
        Lake(tmp_path / "other").open(epoch=2)


def test_another_key_is_refused(table: CurrentTable) -> None:
    with table.opened() as task:
        inserted(task, 3)
    with pytest.raises(ConfigError, match="told apart by id, and key is now word"):
        table.open(key=["word"])


@pytest.mark.parametrize(
    "settings",
    [
        {"mode": "apply", "partition_by": ["id"]},
        {"mode": "apply", "compact": {}},
        {"key": ["id"]},
        {"merge": {"grace": "1s"}},
    ],
)
def test_settings_that_mean_nothing_together_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="mode: apply"):
        ParquetSettings.model_validate({"url": "lake", **settings})


def test_rows_without_a_value_in_their_key_are_dead_letters(table: CurrentTable) -> None:
    with table.opened(key=["id"]) as task:
        put(task, 0, values(row(1, "a"), {"id": None, "word": "b"}))
        assert [(letter.error, letter.offset) for letter in commit(task).dead] == [("KeyMissing", 1)]
    assert table.words() == {1: "a"}


def test_buckets_cover_all_keys_whatever_files_there_are() -> None:
    assert list(leaves([])) == [""]
    assert list(leaves(["010", "1"])) == ["00", "010", "011", "1"]
    assert divided("01", 3) == ["0100", "0101", "0110", "0111"]
    assert divided("01", 0.2) == ["01"]


def crash() -> None:
    raise Crash
