"""``csv`` and ``tsv``: fields, quotes, headers."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsing import parse
from pydantic import ValidationError

from ingest.connectors.testing import TransformContract
from ingest.errors import ConfigError
from ingest.transforms.parse import Parse
from ingest.transforms.parsers import kernels
from ingest.transforms.parsers.fields import Cutter, Uncuttable, unique_names


class TestCsvWithColumns(TransformContract):
    def transform(self) -> Parse:
        return Parse(Parse.Settings(format="csv", columns=["a", "b"], types={"a": "int64"}))

    def good(self) -> pa.Array:
        return pa.array(["1,x", '2,"a, b"', "3,"])

    def bad(self) -> pa.Array:
        return pa.array(['4,"open'])


class TestCsvWithHeader(TransformContract):
    def transform(self) -> Parse:
        return Parse(Parse.Settings(format="csv"))

    def good(self) -> pa.Array:
        return pa.array(["a,b", "1,x", "2,y"])

    def bad(self) -> pa.Array:
        pytest.skip("the first line is a header whatever it is: see the tests below")


def test_the_first_line_names_the_columns() -> None:
    found = parse(["id,name", "1,eve", '2,"a ""quoted"", name"', "3,"], format="csv")
    assert found.rows == [{"id": "1", "name": "eve"}, {"id": "2", "name": 'a "quoted", name'}, {"id": "3", "name": ""}]
    assert found.state == {"columns": ["id", "name"]}


def test_the_header_is_remembered_for_the_stream() -> None:
    assert parse(["1,eve"], {"columns": ["id", "name"]}, format="csv").rows == [{"id": "1", "name": "eve"}]


def test_a_batch_of_the_header_alone() -> None:
    found = parse(["id,name"], format="csv")
    assert (found.rows, found.reasons, found.state) == ([], {}, {"columns": ["id", "name"]})


def test_names_that_are_missing_or_stand_twice_get_a_number() -> None:
    assert list(parse(["a,,a", "1,2,3"], format="csv").rows[0]) == ["a", "column_2", "a_2"]


def test_columns_can_be_set_with_and_without_a_header_to_pass_over() -> None:
    assert parse(["1,2"], format="csv", columns=["x", "y"]).rows == [{"x": "1", "y": "2"}]
    assert parse(["a,b", "1,2"], format="csv", columns=["x", "y"], header=True).rows == [{"x": "1", "y": "2"}]


def test_types_and_the_records_timestamp() -> None:
    found = parse(
        ["at,n", "2026-01-31 12:00:00,7", "2026-02-01 12:00:00,", "soon,8"],
        format="csv",
        types={"at": "timestamp", "n": "int32"},
        timezone="+01:00",
    )
    assert found.rows[0] == {"at": datetime(2026, 1, 31, 11, tzinfo=UTC), "n": 7}
    assert found.rows[1]["n"] is None
    assert found.timestamps[0] == datetime(2026, 1, 31, 11, tzinfo=UTC)
    assert found.reasons == {3: "at: 'soon' is no timestamp"}


def test_tabs_and_other_delimiters() -> None:
    assert parse(["a\tb", '1\t"x\ty"'], format="tsv").rows == [{"a": "1", "b": "x\ty"}]
    assert parse(["1||2"], format="csv", delimiter="||", columns=["a", "b"]).rows == [{"a": "1", "b": "2"}]
    assert parse(["1.2"], format="csv", delimiter=".", columns=["a", "b"]).rows == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1", "1 field where there are 2 columns"),
        ("1,2,3", "3 fields where there are 2 columns"),
        ('"1",2,3', "3 fields where there are 2 columns"),
        ('1,"2', "the quote at character 2 is not closed"),
        ('1,"2""', "the quote at character 2 is not closed"),
        ('"1"x,2', "expected ',' or the end of the line at character 3, after a closing quote"),
    ],
)
def test_a_refused_line_says_why_and_its_neighbours_stay(line: str, reason: str) -> None:
    found = parse(["a,b", line, '"x",y'], format="csv", columns=["n", "m"])
    assert found.reasons == {1: reason}
    assert found.rows == [{"n": "a", "m": "b"}, {"n": "x", "m": "y"}]


def test_a_header_with_an_open_quote_is_refused_and_the_next_line_is_taken() -> None:
    found = parse(['a,"b', "a,b", "1,2"], format="csv")
    assert found.reasons == {0: "the header: the quote at character 2 is not closed"}
    assert found.rows == [{"a": "1", "b": "2"}]


def test_empty_lines_are_no_records_but_where_there_is_one_column() -> None:
    assert parse(["", "1,2", ""], format="csv", columns=["a", "b"]).rows == [{"a": "1", "b": "2"}]
    assert parse(["", "1"], format="csv", columns=["a"]).rows == [{"a": ""}, {"a": "1"}]


def test_a_line_end_inside_quotes_belongs_to_the_field() -> None:
    assert parse(['1,"two\nlines"'], format="csv", columns=["a", "b"]).rows == [{"a": "1", "b": "two\nlines"}]


def test_tombstones_go_on() -> None:
    assert parse(["a,b", None, "1,2"], format="csv").rows == [None, {"a": "1", "b": "2"}]


@pytest.mark.parametrize(
    "settings",
    [
        {"format": "csv", "columns": ["a", "a"]},
        {"format": "csv", "columns": []},
        {"format": "csv", "delimiter": '"'},
        {"format": "csv", "delimiter": ""},
        {"format": "tsv", "delimiter": ";"},
        {"format": "csv", "pattern": "x"},
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Parse.Settings(**settings)  # type: ignore[arg-type]


def test_types_of_columns_that_are_not_there() -> None:
    with pytest.raises(ConfigError, match="there is no column c"):
        Parse(Parse.Settings(format="csv", columns=["a"], types={"c": "int64"}))
    found = parse(["a,b", "1,2", "", "3,4"], format="csv", types={"c": "int64"})
    assert found.rows == []
    assert found.reasons == {1: "the header has no column c", 3: "the header has no column c"}


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(ConfigError, match="there is no type int23"):
        Parse(Parse.Settings(format="csv", types={"a": "int23"}))


fields = st.lists(st.text(alphabet="ab,\"\t 'é\n;", max_size=6), min_size=1, max_size=5)


@settings(max_examples=100, deadline=None)
@given(st.lists(fields, min_size=1, max_size=5), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_what_pythons_writer_writes_is_cut_as_it_was(rows: list[list[str]], quoting: int) -> None:
    lines = []
    for row in rows:
        target = io.StringIO()
        csv.writer(target, quoting=quoting, lineterminator="").writerow(row)  # type: ignore[arg-type]
        lines.append(target.getvalue())
    assert Cutter(",").cut(pa.array(lines)).to_pylist() == rows


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet='ab," \t', max_size=8), min_size=1, max_size=5), st.sampled_from([",", "\t", None]))
def test_a_batch_is_cut_as_its_lines_one_by_one(lines: list[str], delimiter: str | None) -> None:
    cutter = Cutter(delimiter)

    def alone(line: str) -> list[str] | None:
        try:
            return cutter.one(line)
        except Uncuttable:
            return None

    assert cutter.cut(pa.array(lines)).to_pylist() == [alone(line) for line in lines]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["", "a", "a_2", "column_1", "column_2", "b"]), max_size=8))
def test_names_become_unique(names: list[str]) -> None:
    found = unique_names(names)
    assert len(set(found)) == len(found) == len(names)
    assert "" not in found


@pytest.mark.skipif(kernels.cut_lines is None, reason="the kernels are not built")
@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.text(alphabet='ab," \t|\né', max_size=10)), max_size=6),
    st.sampled_from([",", "\t", "||", "|", "é", None]),
    st.booleans(),
)
def test_kernel_and_twin_cut_alike(lines: list[str | None], delimiter: str | None, quotes: bool) -> None:
    cutter, column = Cutter(delimiter, quotes=quotes), pa.array(["x", *lines], pa.string()).slice(1)
    found = cutter.cut(column).to_pylist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "cut_lines", None)
        assert found == cutter.cut(column).to_pylist()
