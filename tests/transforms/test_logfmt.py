"""``logfmt``: keys and values."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsing import parse

from ingest.connectors.testing import TransformContract
from ingest.transforms.found_columns import are_found
from ingest.transforms.parse import Parse
from ingest.transforms.parsers import kernels
from ingest.transforms.parsers.logfmt import find_pairs
from ingest.transforms.refusals import Refusals


class TestLogfmt(TransformContract):
    def transform(self) -> Parse:
        return Parse(Parse.Settings(format="logfmt", types={"n": "int64"}))

    def good(self) -> pa.Array:
        return pa.array(["level=info n=1", 'level="a b" n=2', "level= n="])

    def bad(self) -> pa.Array:
        return pa.array(["level=info n=many"])


def test_pairs_become_columns_in_the_order_of_their_first_line() -> None:
    found = parse(['b=1 a="two words"', "c=x=y a=3 "], format="logfmt")
    assert found.rows == [{"b": "1", "a": "two words", "c": None}, {"b": None, "a": "3", "c": "x=y"}]
    assert are_found(found.kind)


def test_escapes_in_quotes_are_those_of_json() -> None:
    assert parse([r'a="say \"hi\"\n\u00e9" b=\n'], format="logfmt").rows == [{"a": 'say "hi"\né', "b": r"\n"}]


def test_the_time_becomes_the_records_timestamp() -> None:
    found = parse(['ts="2021-09-15T21:17:10.220731Z" level=x'], format="logfmt", timestamp="ts")
    assert found.timestamps == [datetime(2021, 9, 15, 21, 17, 10, 220_000, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "logfmt: the line is empty"),
        ("panic: foo", "logfmt: expected key=value at character 0, found 'panic: foo'"),
        ("a=1 word", "logfmt: expected key=value at character 4, found 'word'"),
        ('a=1 b="open', "logfmt: expected key=value at character 4, found 'b=\"open'"),
        ('a="x"y', "logfmt: expected key=value at character 0, found 'a=\"x\"y'"),
        ("a=1 b=2 a=3", "logfmt: the key a stands twice, again at character 8"),
        ("=1", "logfmt: expected key=value at character 0, found '=1'"),
        (r'a="\x"', "logfmt: an escape that JSON does not have, in the value at character 3"),
        (r'a="\ud800"', "logfmt: an escape that JSON does not have, in the value at character 3"),
    ],
)
def test_a_refused_line_says_why_and_its_neighbours_stay(line: str, reason: str) -> None:
    found = parse(["a=1", line, "a=2"], format="logfmt")
    assert found.reasons == {1: reason}
    assert found.rows == [{"a": "1"}, {"a": "2"}]


def test_keys_without_end_do_not_become_columns_without_end() -> None:
    lines = [
        " ".join(f"k{number}=1" for number in range(900)),
        " ".join(f"j{number}=1" for number in range(200)),
        "k1=2",
    ]
    found = parse(lines, format="logfmt")
    assert found.reasons == {1: "logfmt: its keys would make more than 1000 columns"}
    assert len(found.rows) == 2


keys = st.text(alphabet="abc.-_é", min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(keys, st.text(max_size=8), min_size=1, max_size=5))
def test_what_is_written_quoted_is_read_back(pairs: dict[str, str]) -> None:
    line = " ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in pairs.items())
    assert parse([line], format="logfmt").rows == [pairs]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet='ab= "\\n', max_size=14), min_size=1, max_size=5))
def test_any_line_is_a_row_or_refused(lines: list[str]) -> None:
    found = parse(lines, format="logfmt")
    assert len(found.rows) + len(found.reasons) == len(lines)


needs_kernels = pytest.mark.skipif(kernels.pair_lines is None, reason="the kernels are not built")
pieces = st.sampled_from(
    ["a", "bb", "=", '"', "\\", '\\"', "\\n", "\\u00e9", "\\ud800", " ", "\t", "é", "\n", "a=1", 'b="x y"', "\x00"]
)


@needs_kernels
@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(pieces, max_size=12).map("".join), max_size=6))
def test_kernel_and_twin_find_the_same_pairs(lines: list[str]) -> None:
    compiled, plain = Refusals(), Refusals()
    found = find_pairs(pa.array(lines, pa.string()), compiled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "pair_lines", None)
        expected = find_pairs(pa.array(lines, pa.string()), plain)
    assert [each.tolist() if index == 0 else each.to_pylist() for index, each in enumerate(found)] == [
        each.tolist() if index == 0 else each.to_pylist() for index, each in enumerate(expected)
    ]
    assert compiled.reasons == plain.reasons


@needs_kernels
def test_more_pairs_than_the_kernel_compares_are_left_to_the_twin() -> None:
    line = " ".join(f"k{number}={number}" for number in range(100))
    assert parse([line, "k1=x", line + " k7=again"], format="logfmt").reasons == {
        2: f"logfmt: the key k7 stands twice, again at character {len(line) + 1}"
    }
