"""CSV: quotes, types, bad rows, and places that a restart finds again."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from landing import Landing

from ingest.sources.files.content import Content
from ingest.sources.files.csv_reader import CsvReader
from ingest.sources.files.settings import CsvSettings

VALUES = st.text(st.sampled_from('ab,"\n\r é'), max_size=8)


def read(
    content: bytes, *, piece_bytes: int = 1 << 20, restart: bool = False, **given: Any
) -> tuple[list[Any], list[Any]]:
    """Rows and bad records; with ``restart`` each piece is read by a new reader, at the place of the last one."""
    settings = CsvSettings(**given)
    place: dict[str, Any] = {}
    rows: list[Any] = []
    bad: list[Any] = []
    reader = None
    while True:
        if reader is None or restart:
            file = Content(io.BytesIO(content), place.get("at", 0))
            reader = CsvReader(file, settings, place, delimiter=settings.delimiter or ",", max_record=1000)
        piece = reader.read(piece_bytes)
        if piece is None:
            return rows, bad
        rows += piece.value.to_pylist()
        bad += piece.bad
        place = dict(piece.place)


@given(
    st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 60),
    st.booleans(),
)
@settings(deadline=None)
def test_what_pythons_writer_writes_is_read_in_pieces_of_any_size(
    table: list[tuple[str, str, str]], end: str, piece_bytes: int, restart: bool
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["a", "b", "c"])
    writer.writerows(table)
    rows, bad = read(text.getvalue().encode(), piece_bytes=piece_bytes, restart=restart)
    assert [tuple(row.values()) for row in rows] == table
    assert not bad


def test_rows_that_do_not_fit_are_named_with_their_lines() -> None:
    content = b'id,n\n1,"two\nlines"\nshort\n\n3,4\nfive,5,too many\n6,7'
    rows, bad = read(content, types={"id": "int64"})
    assert rows == [{"id": 1, "n": "two\nlines"}, {"id": 3, "n": "4"}, {"id": 6, "n": "7"}]
    assert [(item.content, item.reason) for item in bad] == [
        (b"short", "line 4: 1 values for 2 columns"),
        (b"five,5,too many", "line 7: 3 values for 2 columns"),
    ]
    assert [content[item.at :].startswith(item.content) for item in bad] == [True, True]


def test_a_value_that_is_none_of_its_type_takes_only_its_row() -> None:
    content = (
        b"id,price,day,at,ok\n1,2.50,2026-01-31,2026-01-31 10:00:00,true\n0x10,1,,,\n"
        b"2,,,2026-01-31T10:00:00+02:00,no\n3,,,,TRUE\n"
    )
    types = {"id": "int32", "price": "decimal(9,2)", "day": "date", "at": "timestamp", "ok": "boolean"}
    rows, bad = read(content, types=types)
    moment = datetime.datetime(2026, 1, 31, 10, tzinfo=datetime.UTC)
    assert rows == [
        {"id": 1, "price": Decimal("2.50"), "day": datetime.date(2026, 1, 31), "at": moment, "ok": True},
        {"id": 3, "price": None, "day": None, "at": None, "ok": True},
    ]
    assert [item.reason for item in bad] == ["line 3: id: '0x10' is no int32", "line 4: ok: 'no' is no boolean"]


def test_without_types_every_column_is_text_and_an_empty_text_is_not_null() -> None:
    rows, _ = read(b'\xef\xbb\xbfid,zip\n1,01234\n,""\n')
    assert rows == [{"id": "1", "zip": "01234"}, {"id": None, "zip": ""}]


def test_guessed_types_stay_those_of_the_first_rows() -> None:
    content = b"n,zip,x,when,b\n" + b"1,01234,1.5,2026-01-31 10:00,true\n" * 10 + b"oops,9,2,2026-02-01 10:00,false\n"
    for restart in (False, True):
        rows, bad = read(content, infer_types=True, piece_bytes=100, restart=restart)
        assert {name: type(value) for name, value in rows[0].items()} == {
            "n": int,
            "zip": str,
            "x": float,
            "when": datetime.datetime,
            "b": bool,
        }
        assert len(rows) == 10
        assert [item.reason for item in bad] == ["line 12: n: 'oops' is no int64"]


def test_names_from_the_settings_and_other_delimiters() -> None:
    rows, _ = read(b"1;'a;b'\n", header=False, columns=["id", "text"], delimiter=";", quote="'")
    assert rows == [{"id": "1", "text": "a;b"}]
    rows, _ = read(b'a|b\n1|"x\n', quote=None, delimiter="|")
    assert rows == [{"a": "1", "b": '"x'}]


def test_bytes_that_are_no_text_take_only_their_row() -> None:
    rows, bad = read(b"a,b\n1,\xff\n2,fine\n")
    assert rows == [{"a": "2", "b": "fine"}]
    assert [(item.content, item.reason) for item in bad] == [(b"1,\xff", "line 2: b: not UTF-8")]


def test_a_quote_that_is_never_closed_costs_its_line_and_no_more() -> None:
    content = b'a,b\n1,"open\n' + b"".join(b"%d,fine\n" % number for number in range(2, 400))
    for piece_bytes in (50, 1 << 20):
        rows, bad = read(content, piece_bytes=piece_bytes)
        assert [row["a"] for row in rows] == [str(number) for number in range(2, 400)]
        assert [item.at for item in bad] == [4]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [b"", b"4,last"])
@pytest.mark.parametrize("before", [b"", b'0,"a\nb"\n'])
def test_a_quote_that_is_open_at_the_end_of_an_object_costs_its_line_too(
    before: bytes, last: bytes, end: bytes
) -> None:
    content = b"a,b\n" + before + b'1,"open' + end + b"2,fine\n3,fine\n" + last
    wanted = [row for row in ("0", "2", "3", "4") if (row != "0" or before) and (row != "4" or last)]
    for piece_bytes in (20, 1 << 20):
        for restart in (False, True):
            rows, bad = read(content, piece_bytes=piece_bytes, restart=restart)
            assert [row["a"] for row in rows] == wanted
            line = 2 + before.count(b"\n")
            reason = f"line {line}: a quote that is never closed"
            assert [(item.content, item.at, item.reason) for item in bad] == [(b'1,"open', 4 + len(before), reason)]


def test_a_record_that_is_too_long_is_cut_and_told() -> None:
    rows, bad = read(b"a,b\n1," + b"x" * 5000 + b"\n2,fine\n", piece_bytes=64)
    assert rows == [{"a": "2", "b": "fine"}]
    assert [(len(item.content), item.reason) for item in bad] == [(1000, "line 2: a record of 5002 bytes, cut to 1000")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a,a\n1,2\n", "'a' twice"),
        (b"\xff\xfea\n", "header cannot be read"),
        (gzip.compress(b"a\n1\n", mtime=0)[:-9], "ends in the middle"),
    ],
)
def test_an_object_that_cannot_be_read_is_one_dead_letter(content: bytes, reason: str, tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    landing.put("a.csv", content)
    landing.put("b.csv", b"a\nfine\n")
    assert landing.settle()[-1] == {"a": "fine"}
    assert landing.errors == ["ObjectUnreadable"]
    assert reason in landing.reasons[0]


def test_objects_may_have_other_columns(tmp_path: Path) -> None:
    landing = Landing(tmp_path, csv={"types": {"n": "int64"}})
    landing.put("a.csv", "n,a\n1,x\n", age_ms=9000)
    landing.put("b.tsv", "b\tn\ny\t2\n", age_ms=8000)
    assert landing.settle() == [{"n": 1, "a": "x"}, {"b": "y", "n": 2}]


def test_records_carry_their_objects_name_and_byte(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    path = landing.put("a.csv", "n\n1\nbad,row\n22\n")
    landing.settle()
    (records,) = landing.records
    assert records.positions is not None
    assert records.positions.to_pylist() == [2, 12]
    assert records.common_headers == (("ingest.file", str(path).encode()),)
    (dead,) = landing.dead
    assert (dead.records.origin.name, dead.reasons) == (str(path), ["line 3: 2 values for 1 columns"])
