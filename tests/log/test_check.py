"""What a check of a data folder finds, and what a repair does about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hubs import abandon, open_hub, read, records

from ingest.errors import FolderInvalid, FolderLocked
from ingest.log.check import check_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three closed segments and an active one, with committed and aborted transactions."""
    hub = open_hub(tmp_path)
    hub.create_topic("t", config={"index.interval.bytes": "0"})
    writer = hub.register_writer("w")
    for n in range(3):
        for text in ("a", "b"):
            hub.append(records(f"{text}{n}"), 0).result(30)
        transaction = hub.transaction(writer)
        transaction.append(records(f"tx{n}"), 0)
        transaction.put_positions("owner", {"s": {"n": n}})
        transaction.commit().result(30)
        transaction = hub.transaction(writer)
        transaction.append(records(f"void{n}"), 0)
        transaction.abort()
        hub._store.partition("t", 0).roll()
    hub.append(records("last"), 0).result(30)
    hub.close()
    return tmp_path


def logs(folder: Path, suffix: str = ".log") -> list[Path]:
    return sorted((folder / "t-0").glob(f"*{suffix}"))


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x40
    path.write_bytes(data)


def test_a_sound_folder_has_no_findings_and_is_not_touched(folder: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}
    assert check_folder(folder) == []
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")} == before
    assert check_folder(folder, repair=True) == []


def test_a_folder_in_use_can_be_checked_but_not_repaired(folder: Path) -> None:
    hub = open_hub(folder)
    hub.append(records("more"), 0).result(30)
    assert [finding for finding in check_folder(folder) if finding.severity == "error"] == []
    with pytest.raises(FolderLocked):
        check_folder(folder, repair=True)
    hub.close()


@pytest.mark.parametrize("segment", [0, 1, 2])
def test_a_damaged_batch_is_named_and_never_cut_off(folder: Path, segment: int) -> None:
    path = logs(folder)[segment]
    flip(path, path.stat().st_size // 2)
    damaged = path.read_bytes()
    (finding,) = check_folder(folder, repair=True)
    assert (finding.severity, finding.place, finding.repair, finding.repaired) == (
        "error",
        f"t-0/{path.name}",
        None,
        False,
    )
    assert "bad batch at byte" in finding.problem
    assert path.read_bytes() == damaged


def test_acknowledged_records_that_are_damaged_at_the_very_end_are_an_error_too(folder: Path) -> None:
    path = logs(folder)[-1]
    flip(path, path.stat().st_size - 1)
    (finding,) = check_folder(folder)
    assert (finding.severity, finding.repair) == ("error", None)


def test_a_torn_tail_is_a_warning_and_cut_by_repair(folder: Path) -> None:
    hub = open_hub(folder)
    abandon(hub)
    path = logs(folder)[-1]
    path.write_bytes(path.read_bytes() + b"\0" * 100)
    (finding,) = check_folder(folder)
    assert (finding.severity, finding.repair) == ("warning", "the next opening cuts it off")
    (finding,) = check_folder(folder, repair=True)
    assert finding.repaired
    assert check_folder(folder) == []


@pytest.mark.parametrize("suffix", [".index", ".timeindex", ".txnindex"])
def test_a_wrong_index_is_made_again_by_repair(folder: Path, suffix: str) -> None:
    path = logs(folder, suffix)[0]
    flip(path, len(path.read_bytes()) - 1)
    (finding,) = check_folder(folder)
    assert (finding.severity, finding.place) == ("error", f"t-0/{path.name}")
    assert [each.repaired for each in check_folder(folder, repair=True)] == [True]
    assert check_folder(folder) == []
    hub = open_hub(folder)
    assert read(hub) == [f"{text}{n}" for n in range(3) for text in ("a", "b", "tx")] + ["last"]
    hub.close()


@pytest.mark.parametrize("suffix", [".index", ".timeindex"])
def test_a_missing_index_is_a_warning(folder: Path, suffix: str) -> None:
    logs(folder, suffix)[1].unlink()
    assert [(finding.severity, finding.problem) for finding in check_folder(folder)] == [("warning", "is missing")]
    assert [each.repaired for each in check_folder(folder, repair=True)] == [True]


def test_a_damaged_snapshot_is_found(folder: Path) -> None:
    path = logs(folder, ".snapshot")[1]
    flip(path, 10)
    assert [finding.place for finding in check_folder(folder)] == [f"t-0/{path.name}"]


def test_missing_records_and_folders_are_errors(folder: Path) -> None:
    path = logs(folder)[-1]
    path.write_bytes(b"")
    (finding,) = check_folder(folder)
    assert finding.severity == "error"
    assert "were on disk once" in finding.problem
    for each in (folder / "t-0").iterdir():
        each.unlink()
    (folder / "t-0").rmdir()
    assert [finding.problem for finding in check_folder(folder)] == ["the folder of this partition is gone"]


def test_a_damaged_catalogue_is_an_error(folder: Path) -> None:
    (folder / "topics.json").write_text(json.dumps({"version": 1}))
    (finding,) = check_folder(folder, repair=True)
    assert (finding.place, finding.repaired) == ("topics.json", False)


def test_a_stray_folder_is_told(folder: Path) -> None:
    (folder / "stray-0").mkdir()
    assert [(finding.place, finding.severity) for finding in check_folder(folder)] == [("stray-0", "warning")]


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderInvalid):
        check_folder(tmp_path)
