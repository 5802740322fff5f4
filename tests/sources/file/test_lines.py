"""Cutting bytes into records, against a twin that does it line by line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.sources.file.encoding import Encoding, begin
from ingest.sources.file.lines import Cut, cut
from ingest.sources.file.multiline import Grouping
from ingest.sources.file.rules import Carry, Flush, LineRules

UTF8 = Encoding("utf-8")
RULES = LineRules(max_line=1000)

calmly = settings(deadline=None, max_examples=80)
text = st.text(alphabet=st.sampled_from("ab é€😀\r\n\n\n"), max_size=60)


def go(
    data: bytes,
    rules: LineRules = RULES,
    carry: Carry = "",
    flush: Flush = Flush.HOLD,
    encoding: Encoding = UTF8,
    at: int = 0,
) -> Cut:
    return cut(np.frombuffer(data, np.uint8), at, encoding, rules, carry, flush)


def in_pieces(data: bytes, sizes: list[int], rules: LineRules, encoding: Encoding = UTF8) -> tuple[list, list, list]:
    """Delivers ``data`` as a growing file, and reads it as a stream does."""
    values: list[object] = []
    starts: list[int] = []
    dead: list[tuple[int, bytes]] = []
    offset, end, carry = 0, 0, ""
    for size in [*sizes, len(data), len(data)]:
        final = end == len(data)
        end = min(end + size, len(data))
        made = go(data[offset:end], rules, carry, Flush.ALL if final else Flush.HOLD, encoding, offset)  # type: ignore[arg-type]
        values += made.value.to_pylist()
        starts += made.positions.tolist()
        for letter in made.dead:
            dead += zip(letter.positions.tolist(), letter.value.to_pylist(), strict=True)
        offset, carry = offset + made.consumed, made.carry
    assert offset == len(data)
    return values, starts, dead


def twin(data: bytes) -> tuple[list[bytes], list[int]]:
    lines, starts, offset = [], [], 0
    for line in data.split(b"\n"):
        lines.append(line)
        starts.append(offset)
        offset += len(line) + 1
    ended = data.endswith(b"\n") or not data
    body = [line.removesuffix(b"\r") for line in lines[:-1]]
    return (body, starts[:-1]) if ended else ([*body, lines[-1]], starts)


@calmly
@given(text, st.lists(st.integers(0, 20), max_size=8))
def test_any_way_of_growing_gives_the_same_lines(content: str, sizes: list[int]) -> None:
    data = content.encode()
    values, starts, dead = in_pieces(data, sizes, RULES)
    lines, expected_starts = twin(data)
    assert values == [line.decode() for line in lines]
    assert starts == expected_starts
    assert not dead


@calmly
@given(st.binary(max_size=80), st.lists(st.integers(0, 20), max_size=8))
def test_undecodable_lines_leave_their_neighbours_alone(data: bytes, sizes: list[int]) -> None:
    values, starts, dead = in_pieces(data, sizes, RULES)
    good, bad = [], []
    for line, start in zip(*twin(data), strict=True):
        try:
            good.append((start, line.decode()))
        except UnicodeDecodeError:
            bad.append((start, line))
    assert list(zip(starts, values, strict=True)) == good
    # What lies in a dead letter is the line without any line end, a last "\r" that may be half of one included.
    assert [(start, line.removesuffix(b"\r")) for start, line in dead] == [
        (start, line.removesuffix(b"\r")) for start, line in bad
    ]


@calmly
@given(st.binary(max_size=80), st.lists(st.integers(0, 20), max_size=8))
def test_bytes_policy_keeps_every_byte(data: bytes, sizes: list[int]) -> None:
    values, starts, dead = in_pieces(data, sizes, LineRules(max_line=1000, undecodable="bytes"))
    assert (values, starts) == twin(data)
    assert not dead


@calmly
@given(st.binary(max_size=80))
def test_replace_policy_gives_what_python_gives(data: bytes) -> None:
    values, _, dead = in_pieces(data, [], LineRules(max_line=1000, undecodable="replace"))
    assert values == [line.decode("utf-8", "replace") for line in twin(data)[0]]
    assert not dead


@calmly
@given(text, st.lists(st.integers(0, 20), max_size=8), st.sampled_from(["utf-16-le", "utf-16-be", "utf-32-le"]))
def test_wide_encodings_give_the_same_lines(content: str, sizes: list[int], name: str) -> None:
    values, starts, dead = in_pieces(content.encode(name), sizes, RULES, Encoding(name))
    assert values == [line.decode() for line in twin(content.encode())[0]]
    assert len(starts) == len(values)
    assert not dead


@calmly
@given(text, st.sampled_from(["latin-1", "cp1252", "shift_jis", "gb18030", "cp037"]))
def test_other_encodings_give_the_same_lines(content: str, name: str) -> None:
    encodable = content.encode(name, "ignore").decode(name)
    values, _, dead = in_pieces(encodable.encode(name), [7, 7], RULES, Encoding(name))
    assert values == [line.decode() for line in twin(encodable.encode())[0]]
    assert not dead


@calmly
@given(st.text(alphabet="aé€😀\n", max_size=80), st.lists(st.integers(0, 20), max_size=8), st.integers(4, 12))
def test_split_lines_are_whole_again_when_joined(content: str, sizes: list[int], most: int) -> None:
    data = content.encode()
    values, starts, dead = in_pieces(data, sizes, LineRules(max_line=most, split=True))
    assert all(len(value.encode()) <= most for value in values)
    assert not dead
    for value, start in zip(values, starts, strict=True):
        assert data[start : start + len(value.encode())] == value.encode()
    assert "".join(values) == content.replace("\n", "")


@calmly
@given(st.text(alphabet="aé\n", max_size=80), st.lists(st.integers(0, 20), max_size=8))
def test_long_lines_become_dead_letters_and_nothing_else_does(content: str, sizes: list[int]) -> None:
    data = content.encode()
    values, _, dead = in_pieces(data, sizes, LineRules(max_line=9, whole_bytes=12))
    lines = twin(data)[0]
    assert values == [line.decode() for line in lines if len(line) <= 9]
    assert b"".join(value for _, value in dead) == b"".join(line for line in lines if len(line) > 9)
    for start, value in dead:
        assert data[start : start + len(value)] == value


def test_a_long_line_that_fits_into_a_batch_is_one_dead_letter() -> None:
    made = go(b"x" * 30 + b"\nok\n", LineRules(max_line=10, whole_bytes=100))
    assert made.value.to_pylist() == ["ok"]
    assert [letter.value.to_pylist() for letter in made.dead] == [[b"x" * 30]]
    assert made.dead[0].error == "LineTooLong"


def test_a_line_end_after_a_delivered_last_line_is_no_blank_record() -> None:
    for end in (b"\n", b"\r\n"):
        made = go(end + b"next\n", carry="line", at=10)
        assert made.value.to_pylist() == ["next"]
        assert made.positions.tolist() == [10 + len(end)]


def test_a_lone_carriage_return_after_a_delivered_last_line_waits() -> None:
    made = go(b"\r", carry="line")
    assert (made.consumed, made.carry, len(made.value)) == (0, "line", 0)


def test_no_more_rows_than_allowed_come_at_once() -> None:
    made = go(b"\n" * 100, LineRules(max_line=10, rows=7))
    assert len(made.value) == made.consumed == 7


@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_blank_lines_are_records(ends: bytes) -> None:
    assert go(ends.join([b"a", b"", b"", b"b", b""])).value.to_pylist() == ["a", "", "", "b"]


def test_only_the_line_end_is_removed() -> None:
    assert go(b"a\r\r\nb\rc\n \t\n").value.to_pylist() == ["a\r", "b\rc", " \t"]


@pytest.mark.parametrize(
    ("name", "first", "expected"),
    [
        ("utf-8", b"\xef\xbb\xbfa", ("utf-8", 3)),
        ("utf-8", b"\xff\xfea\0", ("utf-16-le", 2)),
        ("utf-8", b"\xfe\xff\0a", ("utf-16-be", 2)),
        ("utf-16", b"a\0", ("utf-16-le", 0)),
        ("utf-32", b"\xff\xfe\0\0", ("utf-32-le", 4)),
        ("latin-1", b"\xef\xbb\xbf", ("iso8859-1", 0)),
        ("utf-8", b"", ("utf-8", 0)),
    ],
)
def test_byte_order_mark_decides(name: str, first: bytes, expected: tuple[str, int]) -> None:
    assert begin(name, first) == expected


# -- records of several lines

TRACE = b"1 a\n  at x\n  at y\n2 b\n3 c\n\n  at z\n"
BY_START = LineRules(max_line=100, grouping=Grouping(r"^\d"))


def test_start_pattern_holds_the_last_record_back() -> None:
    made = go(TRACE, BY_START)
    assert made.value.to_pylist() == ["1 a\n  at x\n  at y", "2 b"]
    assert made.positions.tolist() == [0, 18]
    assert made.consumed == TRACE.index(b"3 c")


def test_continuation_pattern_groups_the_same() -> None:
    rules = LineRules(max_line=100, grouping=Grouping(r"^\s|^$", continues=True))
    made = go(TRACE, rules, flush=Flush.GROUPS)
    assert made.value.to_pylist() == go(TRACE, BY_START, flush=Flush.GROUPS).value.to_pylist()
    assert made.value.to_pylist()[-1] == "3 c\n\n  at z"


def test_a_half_written_line_stays_out_of_a_record_that_timed_out() -> None:
    made = go(TRACE + b"  at", BY_START, flush=Flush.GROUPS)
    assert made.consumed == len(TRACE)


@calmly
@given(st.lists(st.sampled_from(["1 x", "2", " a", "", "  bb"]), max_size=30), st.lists(st.integers(0, 9), max_size=20))
def test_records_of_several_lines_hold_every_line_in_order(lines: list[str], sizes: list[int]) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    rules = LineRules(max_line=12, grouping=Grouping(r"^\d", max_lines=3), split=True)
    values, starts, dead = in_pieces(data, sizes, rules)
    assert "".join(f"{value}\n" for value in values) == data.decode()
    assert not dead
    assert all(value.count("\n") < 3 and len(value) <= 12 for value in values)
    for value, start in zip(values, starts, strict=True):
        assert data[start:].startswith(value.encode())
