"""Tables of text files in queries, by their manifests, and under ``check``."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from file_tables import FileTable
from lake import delivery, numbers

from ingest.errors import UsageError
from ingest.sinks.lake.reading import check_table, open_dataset

TYPED = pa.struct(
    [("id", pa.int64()), ("text", pa.string()), ("ratio", pa.float64()), ("day", pa.date32()), ("n", pa.int32())]
)
DAY = datetime.date(2026, 1, 31)


def table(folder: Path, **settings: Any) -> FileTable:
    found = FileTable(folder, settings)
    task = found.open()
    rows = [{"id": 1, "text": 'a,"b"\nc', "ratio": 0.5, "day": DAY, "n": 7}, {"id": 2, "text": "", "ratio": None}]
    found.write(task, 0, pa.array(rows, TYPED))
    found.write(task, 2, pa.array([{"id": 3, "text": None, "day": DAY, "n": 7}], TYPED))
    task.close()
    return found


@pytest.mark.parametrize("compression", ["none", "gzip", "bz2"])
@pytest.mark.parametrize("format", ["json", "csv"])
def test_a_query_finds_types_that_text_tells(format: str, compression: str, tmp_path: Path) -> None:  # noqa: A002
    table(tmp_path, format=format, compression=compression, partition_by=["n"])
    found = open_dataset("lake", tmp_path).to_table().sort_by("id")
    assert found.column("id").to_pylist() == [1, 2, 3]
    assert found.column("text").to_pylist() == ['a,"b"\nc', "", None]
    assert found.column("ratio").to_pylist() == [0.5, None, None]
    assert found.column("day").to_pylist() == ["2026-01-31", None, "2026-01-31"]
    assert found.column("n").to_pylist() == [7, None, 7]


def test_files_with_and_without_a_column_are_one_table(tmp_path: Path) -> None:
    for format in ("json", "csv"):  # noqa: A001
        found = FileTable(tmp_path / format, {"format": format})
        task = found.open()
        found.write(task, 0, numbers(0, 2))
        found.write(task, 2, numbers(2, 4, new="x"))
        task.close()
        read = open_dataset("lake", tmp_path / format).to_table().sort_by("id")
        assert read.to_pylist() == [{"id": n, "new": "x" if n > 1 else None} for n in range(4)]


def test_plain_lines_are_a_table_of_one_column(tmp_path: Path) -> None:
    found = FileTable(tmp_path, {"format": "lines", "compression": "gzip"})
    task = found.open()
    found.write(task, 0, pa.array(["a,b", "", ' "c']))
    task.close()
    assert open_dataset("lake", tmp_path).to_table().to_pydict()["value"] == ["a,b", "", ' "c']


@pytest.mark.parametrize(("settings", "end"), [({"format": "avro"}, "avro"), ({"compression": "zstd"}, "zst")])
def test_what_cannot_be_read_here_is_said(settings: dict[str, Any], end: str, tmp_path: Path) -> None:
    table(tmp_path, **settings)
    with pytest.raises(UsageError, match=rf"\.{end} is not read here"):
        open_dataset("lake", tmp_path)


def test_a_commit_that_is_not_published_is_not_seen(tmp_path: Path) -> None:
    found = table(tmp_path, format="json")
    task = found.open(epoch=2)
    task.put(delivery(3, pa.array([{"id": 9}])))
    assert pc.sum(open_dataset("lake", tmp_path).to_table().column("id")).as_py() == 6
    task.close()


def test_check_finds_a_changed_byte_and_a_missing_file(tmp_path: Path) -> None:
    found = table(tmp_path, format="csv", compression="gzip")
    assert check_table("lake", tmp_path, repair=False) == []
    first, second = found.files()
    content = bytearray(first.read_bytes())
    content[-1] ^= 1
    first.write_bytes(content)
    second.unlink()
    problems = [finding.problem for finding in check_table("lake", tmp_path, repair=False)]
    assert sum("checksum" in problem for problem in problems) == 1
    assert any("not there" in problem for problem in problems)
