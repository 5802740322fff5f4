"""What ``ingest check`` finds in a table, and mends."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake import Lake, numbers

from ingest.connectors.testing import Crash
from ingest.errors import UsageError
from ingest.sinks.lake.reading import Finding, check_table


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


def test_a_whole_table_has_no_findings(lake: Lake) -> None:
    assert check(lake) == []


def test_a_missing_file_is_an_error(lake: Lake) -> None:
    file = lake.files()[1]
    file.unlink()
    finding = only(check(lake, repair=True))
    assert (finding.severity, finding.place, finding.repaired) == ("error", str(file), False)


def test_every_changed_byte_of_a_file_is_seen(lake: Lake) -> None:
    file = lake.files()[0]
    content = file.read_bytes()
    for place in range(0, len(content), 37):
        changed = bytearray(content)
        changed[place] ^= 0x10
        file.write_bytes(changed)
        assert "checksum" in only(check(lake)).problem


def test_a_cut_file_is_seen(lake: Lake) -> None:
    file = lake.files()[0]
    file.write_bytes(file.read_bytes()[:-1])
    assert "bytes, and its manifest says" in only(check(lake)).problem


def test_a_file_of_no_commit_that_looks_like_ours_is_an_error_and_a_foreign_one_a_warning(lake: Lake) -> None:
    ours = lake.files()[-1]
    pretender = ours.with_name(ours.name.replace("~00001.", "~00002."))
    pretender.write_bytes(ours.read_bytes())
    pq.write_table(pa.table({"id": [1]}), lake.root / "foreign.parquet")
    assert {(finding.severity, finding.place) for finding in check(lake)} == {
        ("error", str(pretender)),
        ("warning", str(lake.root / "foreign.parquet")),
    }


def test_a_missing_and_a_damaged_manifest_are_errors(lake: Lake) -> None:
    manifests = sorted(lake.root.glob("_ingest/*/*/*.json"))
    manifests[1].unlink()
    manifests[2].write_bytes(b"{}\n{}\n")
    problems = {finding.place: finding.problem for finding in check(lake)}
    assert "missing" in problems[str(manifests[1])]
    assert "cannot be read" in problems[str(manifests[2])]


def test_a_commit_that_was_cut_off_is_published_by_repair(lake: Lake) -> None:
    lake.fail.arm("lake.manifest.put", crash)
    with pytest.raises(Crash):
        lake.write(lake.open(epoch=2), 30, numbers(30, 40))
    finding = only(check(lake))
    assert finding.repair == "publish it from its temporary"
    assert not finding.repaired
    assert only(check(lake, repair=True)).repaired
    assert check(lake) == []
    assert len(lake.rows()) == 40


def test_a_commit_whose_temporary_is_gone_offers_no_repair(lake: Lake) -> None:
    lake.fail.arm("lake.manifest.put", crash)
    with pytest.raises(Crash):
        lake.write(lake.open(epoch=2), 30, numbers(30, 40))
    for path in lake.temporaries():
        (lake.root / path).unlink()
    finding = only(check(lake))
    assert finding.problem == "it was committed, and is not there, nor is its temporary"
    assert finding.repair is None
    assert not only(check(lake, repair=True)).repaired


def test_temporaries_of_no_commit_are_told(lake: Lake) -> None:
    lake.fail.arm("lake.manifest.before", crash)
    with pytest.raises(Crash):
        lake.write(lake.open(epoch=2), 30, numbers(30, 40))
    finding = only(check(lake, repair=True))
    assert finding.severity == "warning"
    assert ".tmp" in finding.place
    assert lake.temporaries() != []


def test_a_folder_without_manifests_is_checked_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    pq.write_table(pa.table({"id": [1]}), tmp_path / "lake" / "good.parquet")
    (tmp_path / "lake" / "bad.parquet").write_bytes(b"PAR1 no")
    assert only(check_table("lake", tmp_path, repair=False)).place.endswith("bad.parquet")


def test_where_nothing_is_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        check_table("nowhere", tmp_path, repair=False)


def test_findings_print_as_plain_values(lake: Lake) -> None:
    lake.files()[0].unlink()
    assert set(check(lake)[0].as_dict()) == {"severity", "place", "problem", "repair", "repaired"}
