"""Text with delimiters: what a plain parser reads, a byte at a time, is read in pieces of any size."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.sinks.files.hive_text import HiveText
from ingest.sinks.files.settings import DelimitedSettings as Written
from ingest.sources.files.content import Content
from ingest.sources.files.delimited_reader import DelimitedReader
from ingest.sources.files.settings import DelimitedSettings, FilesSettings

NAMES = ["a", "b", "c"]
TEXTS = st.one_of(st.none(), st.text(st.sampled_from("ab,\\\n\r né\x01N"), max_size=8))
Row = tuple[str | None, ...]


def read(
    content: bytes, *, piece_bytes: int = 1 << 20, restart: bool = False, max_record: int = 1000, **given: Any
) -> tuple[list[Row], list[tuple[int, str]]]:
    """Rows, and where bad records begin and why; with ``restart`` each piece is read by a new reader."""
    settings = DelimitedSettings(**{"columns": NAMES, "fields_terminated_by": ",", **given})
    place: dict[str, Any] = {}
    rows: list[Row] = []
    bad: list[tuple[int, str]] = []
    reader = None
    while True:
        if reader is None or restart:
            reader = DelimitedReader(
                Content(io.BytesIO(content), place.get("at", 0)), settings, place, max_record=max_record
            )
        piece = reader.read(piece_bytes)
        if piece is None:
            return rows, bad
        rows += [tuple(row.values()) for row in piece.value.to_pylist()]
        bad += [(each.at, each.reason) for each in piece.bad]
        assert len(piece.at) == len(piece.value)
        place = dict(piece.place)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=8), st.integers(1, 60), st.booleans())
@settings(deadline=None)
def test_what_the_sink_of_files_writes_is_read_again(rows: list[Row], piece_bytes: int, restart: bool) -> None:
    columns = [pa.array([row[number] for row in rows], pa.string()) for number in range(3)]
    lines = HiveText(Written(fields_terminated_by=",")).rows(columns).texts.to_pylist()
    content = "".join(f"{line}\n" for line in lines).encode()
    assert read(content, piece_bytes=piece_bytes, restart=restart) == (rows, [])


def model(content: str, end: str) -> list[tuple[int, list[str]]]:
    """Where each record begins, and its fields as they are meant: by quotes ``'`` and escapes ``\\``, step by step.
    A quote in the middle of a value hides delimiters, too, and stays where it is."""
    records: list[tuple[int, list[str]]] = []
    at, fields, raw, inside, place = 0, list[str](), "", False, 0
    while place < len(content):
        letter = content[place]
        if letter == "\\" and place + 1 < len(content):
            raw += content[place : place + 2]
            place += 2
            continue
        place += 1
        inside ^= letter == "'"
        if inside or letter not in (",", end):
            raw += letter
            continue
        fields.append(meant(raw))
        raw = ""
        if letter == end:
            records.append((at, fields))
            at, fields = place, []
    return records


def meant(raw: str) -> str:
    if len(raw) >= 2 and raw[0] == raw[-1] == "'":
        raw = raw[1:-1]
    text, place = "", 0
    while place < len(raw):
        if raw[place] == "\\" and place + 1 < len(raw):
            text += {"n": "\n", "r": "\r"}.get(raw[place + 1], raw[place + 1])
            place += 2
        else:
            text += raw[place]
            place += 1
    return text


@given(
    st.lists(st.text(st.sampled_from("ab,\\'n|"), max_size=12), max_size=8),
    st.integers(1, 40),
    st.booleans(),
)
@settings(deadline=None, max_examples=300)
def test_escapes_and_enclosing_characters_in_any_mixture(lines: list[str], piece_bytes: int, restart: bool) -> None:
    content = "".join(line + "|" for line in lines)
    records = model(content, "|")
    rows, bad = read(
        content.encode(),
        piece_bytes=piece_bytes,
        restart=restart,
        enclosed_by="'",
        lines_terminated_by="|",
        null_values=[],
    )
    good = [tuple(fields) for _, fields in records if len(fields) == 3]
    # what is behind them is one record whose quote is never closed: then line by line
    assert rows[: len(good)] == good
    refused = [at for at, fields in records if len(fields) != 3 and (len(fields) > 1 or content[at] != "|")]
    assert [at for at, _ in bad][: len(refused)] == refused


def test_what_is_null_and_what_is_a_text() -> None:
    content = b"\\N,\\\\N,'\\N'\nnull,,''\n"
    assert read(content, enclosed_by="'")[0] == [(None, "\\N", "N"), ("null", "", "")]
    found = read(b"null,,x\n", null_values=["null"], null_values_of={"b": ["null", ""]})
    assert found == ([(None, None, "x")], [])


def test_enclosed_values_hold_delimiters_line_ends_and_doubled_quotes() -> None:
    assert read(b'"a,b","c\nd","say ""so"""\r\nx,y,z', enclosed_by='"', escaped_by=None) == (
        [("a,b", "c\nd", 'say "so"'), ("x", "y", "z")],
        [],
    )


def test_bad_rows_stand_alone_with_their_lines() -> None:
    rows, bad = read(b"1,2,3\n1,2\n\n\xff,2,3\n" + b"x" * 2000 + b",\\\n,y\n4,5,6\n7,8,9,10\n")
    assert rows == [("1", "2", "3"), ("4", "5", "6")]
    assert [reason for _, reason in bad] == [
        "line 2: 2 values for 3 columns",
        "line 4: a: not UTF-8",
        "line 5: a record of 2005 bytes, cut to 1000",
        "line 8: 4 values for 3 columns",
    ]


@pytest.mark.parametrize("place", range(1000, 1008))
def test_a_long_record_ends_where_its_line_end_is_no_escaped_one(place: int) -> None:
    content = b"x" * place + b"\\\n,\\\\\n4,5,6\n"
    rows, bad = read(content, piece_bytes=1)
    assert rows == [("4", "5", "6")]
    assert len(bad) == 1


def test_a_byte_order_mark_is_none_of_the_first_value() -> None:
    assert read(b"\xef\xbb\xbf1,2,3\n")[0] == [("1", "2", "3")]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"format": "delimited"}, "needs delimited.columns"),
        ({"delimited": {"columns": ["a"], "enclosed_by": "\\"}}, "same character"),
        ({"delimited": {"columns": ["a", "a"]}}, "twice"),
        ({"delimited": {"columns": ["a"], "null_values_of": {"b": []}}}, "none of the columns"),
        ({"delimited": {"columns": ["a"], "lines_terminated_by": "\r\n"}}, "one ASCII character"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FilesSettings.model_validate({"url": "x", **wrong})
