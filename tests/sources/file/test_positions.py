"""Positions and fingerprints: what the hub keeps of a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tailing import Tail, append, numbered

from ingest.errors import ConnectorError
from ingest.sources.file.content import PlainContent
from ingest.sources.file.fingerprint import BLOCK_BYTES, Fingerprint
from ingest.sources.file.position import FilePosition
from ingest.sources.file.prefix import PrefixCheck

calmly = settings(deadline=None, max_examples=60)
contents = st.binary(max_size=3_000) | st.binary(min_size=900, max_size=1_200)


def after(data: bytes, steps: list[int]) -> Fingerprint:
    """The fingerprint of ``data``, reached in the given steps."""
    print_ = Fingerprint()
    for step in [*steps, len(data)]:
        end = min(print_.offset + step, len(data))
        window = np.frombuffer(data[print_.offset - print_.block_length : end], np.uint8)
        print_ = print_.advanced(window)
    return print_


class Held(PlainContent):
    """Content in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = np.frombuffer(data, np.uint8)
        self.fd = -1

    def read(self, offset: int, size: int) -> Any:
        return self.data[offset : offset + size]


def compare(data: bytes, expected: Fingerprint) -> str:
    check = PrefixCheck(Held(data), expected)
    while (answer := check.step()) == "more":
        pass
    return answer


@calmly
@given(contents, st.lists(st.integers(0, 1_500), max_size=5))
def test_steps_do_not_matter(data: bytes, steps: list[int]) -> None:
    assert after(data, steps) == after(data, [])


@calmly
@given(contents, st.binary(max_size=50))
def test_a_content_that_begins_the_same_is_the_same(data: bytes, more: bytes) -> None:
    assert compare(data + more, after(data, [])) == "same"


@calmly
@given(st.binary(min_size=1, max_size=3_000), st.data())
def test_one_other_byte_makes_another_content(data: bytes, choice: st.DataObject) -> None:
    place = choice.draw(st.integers(0, len(data) - 1))
    changed = bytearray(data)
    changed[place] ^= choice.draw(st.integers(1, 255))
    assert compare(bytes(changed), after(data, [])) == "other"


@calmly
@given(st.binary(min_size=1, max_size=3_000), st.data())
def test_a_beginning_of_the_content_is_too_short(data: bytes, choice: st.DataObject) -> None:
    length = choice.draw(st.integers(0, len(data) - 1))
    assert compare(data[:length], after(data, [])) == "short"


@calmly
@given(st.binary(min_size=1, max_size=3_000), st.data())
def test_reading_that_began_late_is_recognised(data: bytes, choice: st.DataObject) -> None:
    start = choice.draw(st.integers(0, len(data)))
    before = np.frombuffer(data[max(0, start - BLOCK_BYTES) : start], np.uint8)
    print_ = Fingerprint.beginning_at(start, np.frombuffer(data, np.uint8), before)
    window = np.frombuffer(data[start - print_.block_length :], np.uint8)
    assert compare(data, print_.advanced(window)) == "same"


@calmly
@given(contents)
def test_position_through_json(data: bytes) -> None:
    position = FilePosition("/x.log", 1, 2, fingerprint=after(data, []), carry="line", lost_ms=5, told=7)
    assert FilePosition.from_json("s", json.loads(json.dumps(position.as_json()))) == position


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"carry": "odd"},
        {"offset": "many"},
        {"heads": None},
        {"offset": -1},
        {"start": 99},
        {"offset": 5},
        {"path": ...},
    ],
)
def test_a_position_that_cannot_be_read_is_an_error_with_a_hint(change: dict[str, Any]) -> None:
    value = {**FilePosition("/x.log", 1, 2).as_json(), **change}
    value = {key: item for key, item in value.items() if item is not ...}
    with pytest.raises(ConnectorError, match="position of stream 's'") as caught:
        FilePosition.from_json("s", value)
    assert "positions reset" in (caught.value.hint or "")


def test_a_large_file_is_compared_in_steps(tmp_path: Path, new_tail: Callable[..., Tail]) -> None:
    data = np.random.default_rng(1).integers(0, 255, 70_000_000, dtype=np.uint8).tobytes()
    expected = after(data, [30_000_000])
    check = PrefixCheck(Held(data), expected)
    answers = []
    while not answers or answers[-1] == "more":
        answers.append(check.step())
    assert answers == ["more", "more", "same"]


def test_a_quiet_source_commits_nothing(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", *numbered(0, 10))
    tail.settle()
    for _ in range(100):
        assert tail.poll() is None


def test_a_difference_far_from_head_and_end_is_seen() -> None:
    data = bytes(range(256)) * 40
    changed = data[:5_000] + b"?" + data[5_001:]
    assert compare(changed, after(data, [])) == "other"
