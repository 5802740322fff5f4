"""What ``ingest check`` says of merged files and of checkpoints, and mends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from compacting import compact, hidden, ids, store_of
from lake import Lake, numbers

from ingest.connectors.testing import Crash
from ingest.sinks.lake import manifest
from ingest.sinks.lake.checkpoint import look, write_checkpoint
from ingest.sinks.lake.finding import Finding
from ingest.sinks.lake.reading import check_table, open_dataset


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path)
    task = lake.open()
    for start in (0, 10, 20):
        lake.write(task, start, numbers(start, start + 10))
    return lake


def check(lake: Lake, *, repair: bool = False) -> list[Finding]:
    return check_table("lake", lake.folder, repair=repair)


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


def crash() -> None:
    raise Crash


@pytest.mark.parametrize(
    "point", ["compact.manifest.put", "compact.hide.file", "compact.hidden", "compact.publish.file"]
)
def test_a_compaction_that_was_cut_off_is_told_and_finished(lake: Lake, point: str) -> None:
    lake.fail.arm(point, crash)
    with pytest.raises(Crash):
        compact(lake)
    if point != "compact.publish.file":
        assert "cut off" in only(check(lake)).problem
        assert only(check(lake, repair=True)).repaired
    assert check(lake) == []
    assert ids(lake) == list(range(30))


def test_a_file_that_was_merged_and_is_visible_again_is_told_and_hidden(lake: Lake) -> None:
    compact(lake)
    name = hidden(lake)[0]
    (lake.root / name.removeprefix(".").removesuffix(".old")).write_bytes((lake.root / name).read_bytes())
    assert "twice" in only(check(lake)).problem
    assert only(check(lake, repair=True)).repaired
    assert ids(lake) == list(range(30))
    assert check(lake) == []


def test_a_merged_file_with_fewer_rows_is_an_error(lake: Lake) -> None:
    compact(lake)
    path = min(lake.root.glob("_ingest/*/compactions/*/*.json"))
    entry = manifest.decode(path.read_bytes(), str(path))
    path.write_bytes(manifest.encode(replace(entry, files=(replace(entry.files[0], rows=29),))))
    problems = {finding.problem for finding in check(lake)}
    assert "it puts 29 rows in the place of 30" in problems


def test_a_merged_file_that_is_gone_is_an_error(lake: Lake) -> None:
    compact(lake)
    lake.files()[0].unlink()
    finding = only(check(lake, repair=True))
    assert (finding.severity, finding.repaired) == ("error", False)


def test_a_missing_manifest_of_a_compaction_is_an_error(lake: Lake) -> None:
    compact(lake)
    task = lake.open(epoch=2)
    lake.write(task, 30, numbers(30, 40))
    compact(lake)
    path = min(lake.root.glob("_ingest/*/compactions/*/*.json"))
    path.unlink()
    assert (str(path), "the manifest is missing") in {(item.place, item.problem) for item in check(lake)}


def test_temporaries_of_a_compaction_that_was_cut_off_are_told(lake: Lake) -> None:
    lake.fail.arm("compact.manifest.before", crash)
    with pytest.raises(Crash):
        compact(lake)
    assert only(check(lake)).severity == "warning"
    compact(lake)
    assert check(lake) == []


def test_a_checkpoint_that_says_something_else_is_removed(lake: Lake) -> None:
    store = store_of(lake)
    view = look(store, "site~lake")
    view.files.pop(next(iter(view.files)))
    write_checkpoint(store, "site~lake", view)
    assert open_dataset("lake", lake.folder).count_rows() == 20
    assert "checkpoint" in only(check(lake)).problem
    assert only(check(lake, repair=True)).repaired
    assert check(lake) == []
    assert open_dataset("lake", lake.folder).count_rows() == 30
