"""What the sink writes, read by programs that are not ours."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas
import pyarrow as pa
import pytest
from file_tables import FileTable, read_rows
from lake import delivery, numbers

from ingest.errors import ConfigError, RecordRefused
from ingest.sinks.files.settings import FilesSettings

ROWS = pa.array(
    [
        {
            "id": 1,
            "text": 'a "quoted", text\nof two lines',
            "price": Decimal("1.50"),
            "tags": ["x", "y"],
            "raw": b"\xff",
        },
        {"id": 2, "text": "", "price": None, "tags": [], "raw": b""},
        {"id": None, "text": None, "price": Decimal("-0.01"), "tags": None, "raw": None},
    ],
    pa.struct(
        [
            ("id", pa.int64()),
            ("text", pa.string()),
            ("price", pa.decimal128(9, 2)),
            ("tags", pa.list_(pa.string())),
            ("raw", pa.binary()),
        ]
    ),
)


def written(folder: Path, value: pa.Array | list[Any], **settings: Any) -> FileTable:
    table = FileTable(folder, settings)
    task = table.open()
    table.write(task, 0, value)
    task.close()
    return table


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_duckdb_tells_null_from_an_empty_text_in_csv(compression: str, tmp_path: Path) -> None:
    table = written(tmp_path, ROWS, format="csv", compression=compression)
    (path,) = table.files()
    found = duckdb.sql(
        f"SELECT id, text, price, tags, raw FROM read_csv('{path}', quote='\"', allow_quoted_nulls=false)"
    ).fetchall()
    assert found == [
        (1, 'a "quoted", text\nof two lines', 1.5, '["x","y"]', "/w=="),
        (2, "", None, "[]", ""),
        (None, None, -0.01, None, None),
    ]


@pytest.mark.parametrize("compression", ["none", "gzip", "bz2", "zstd"])
def test_pandas_and_duckdb_read_json_lines(compression: str, tmp_path: Path) -> None:
    table = written(tmp_path, numbers(0, 1000, text="grün"), format="json", compression=compression)
    (path,) = table.files()
    frame = pandas.read_json(path, lines=True, compression={"zstd": "zstd"}.get(compression, "infer"))
    assert frame["id"].tolist() == list(range(1000))
    if compression != "bz2":
        assert duckdb.sql(f"SELECT sum(id), max(text) FROM read_json('{path}')").fetchall() == [(499_500, "grün")]


def test_pandas_reads_hives_text(tmp_path: Path) -> None:
    table = written(tmp_path, ROWS, format="delimited", delimited={"fields_terminated_by": "\t"})
    (path,) = table.files()
    frame = pandas.read_csv(path, sep="\t", header=None, na_values=["\\N"], keep_default_na=False, quoting=3)
    assert frame[0].tolist()[:2] == [1, 2]
    assert frame[1].tolist()[0] == 'a "quoted", text\\nof two lines'
    assert frame[1].isna().tolist() == [False, False, True]
    assert frame[3].tolist()[0] == "x\x02y"


def test_fastavro_reads_every_value(tmp_path: Path) -> None:
    table = written(tmp_path, ROWS, format="avro", compression="bz2")
    (path,) = table.files()
    assert read_rows(path.name, path.read_bytes()) == ROWS.to_pylist()


def test_plain_lines_are_the_bytes_that_came(tmp_path: Path) -> None:
    lines = [f"line {number} " + "é" * (number % 7) for number in range(40_000)]
    table = written(tmp_path, pa.array(lines), format="lines")
    assert table.content() == ("\n".join(lines) + "\n").encode()
    other = written(tmp_path / "raw", pa.array([b"\xff\x00", b"", b"x"]), format="lines", compression="bz2")
    assert other.content() == b"\xff\x00\n\nx\n"


def test_a_text_column_of_a_value_is_as_good_as_a_text(tmp_path: Path) -> None:
    table = written(tmp_path, pa.array([{"message": "a"}, {"message": "b"}]), format="lines")
    assert table.content() == b"a\nb\n"


def test_plain_text_of_several_columns_is_a_mistake_in_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the columns id") as caught:
        written(tmp_path, numbers(0, 2, text="x"), format="lines")
    assert caught.value.facts["setting"] == "format"


def test_a_null_alone_in_csv_is_refused_for_readers_would_pass_over_it(tmp_path: Path) -> None:
    table = FileTable(tmp_path, {"format": "csv"})
    task = table.open(tolerate=True)
    commit = table.write(task, 0, pa.array([{"a": "x"}, {"a": None}, {"a": ""}]))
    assert [letter.offset for letter in commit.dead] == [1]
    assert table.content() == b'"a"\n"x"\n""\n'
    task.close()
    strict = table.open(epoch=2, tolerate=False)
    with pytest.raises(RecordRefused, match="offset 3"):
        strict.put(delivery(3, pa.array([{"a": None}], pa.struct([("a", pa.string())]))))
    strict.close()


def test_refused_rows_do_not_move_their_neighbours_to_another_folder(tmp_path: Path) -> None:
    """The folder of each row is known before some of them turn out to have no form."""
    values = [{"day": str(n % 3), "text": "bad\x01" if n % 5 == 0 else f"text-{n}"} for n in range(30)]
    table = FileTable(tmp_path, {"format": "delimited", "partition_by": ["day"], "delimited": {"escaped_by": None}})
    task = table.open()
    commit = table.write(task, 100, values)
    assert [letter.offset for letter in commit.dead] == [100 + n for n in range(30) if n % 5 == 0]
    for path in table.files():
        day = path.parent.name.removeprefix("day=")
        expected = [row["text"] for n, row in enumerate(values) if row["day"] == day and n % 5]
        assert path.read_text().splitlines() == expected
    task.close()


def test_times_and_dates_in_csv(tmp_path: Path) -> None:
    kind = pa.struct([("t", pa.timestamp("us", "UTC")), ("d", pa.date32())])
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)
    table = written(tmp_path, pa.array([{"t": moment, "d": moment.date()}], kind), format="csv", csv={"header": False})
    assert table.content() == b"2026-01-02 03:04:05.000006Z,2026-01-02\n"


def test_files_roll_by_the_bytes_that_are_written(tmp_path: Path) -> None:
    table = FileTable(tmp_path, {"format": "lines", "roll": {"bytes": 100_000}})
    task = table.open()
    sizes = []
    for start in range(0, 10_000, 1000):
        task.put(delivery(start, pa.array(["x" * 99] * 1000)))
        if (commit := task.flush()) is not None:
            sizes.append(commit.size_bytes)
    task.close()
    assert sizes
    assert all(100_000 <= size <= 200_000 for size in sizes)


@pytest.mark.parametrize(
    "wrong", [{"compression": "lz4"}, {"compression": "gzip", "compression_level": 10}, {"compression_level": 1}]
)
def test_levels_that_a_codec_does_not_have_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        FilesSettings(url="x", **wrong)
