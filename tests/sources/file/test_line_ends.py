"""The kernels of line cutting, compiled and not, against Python's own bytes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.file import line_ends

TEXTS = st.lists(st.sampled_from([b"\n", b"\r", b"a", b"\r\n", b"some longer text", b"\xc3\xa4"]), max_size=60).map(
    b"".join
)


@pytest.fixture(params=["compiled", "twin"])
def pure(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "twin":
        monkeypatch.setattr(line_ends, "kernel", None)
    elif line_ends.kernel is None:
        pytest.skip("the kernel is not compiled here")


def cut(text: bytes) -> list[bytes]:
    data = np.frombuffer(text, np.uint8)
    stops = line_ends.find_byte(data, ord("\n")) + 1
    if not text.endswith(b"\n"):
        stops = np.append(stops, len(text))
    lines = line_ends.ended_lines(pa.py_buffer(data), stops)
    lines.validate(full=True)
    return lines.to_pylist()


def by_hand(text: bytes) -> list[bytes]:
    *ended, last = text.split(b"\n")
    return [line.removesuffix(b"\r") for line in ended] + ([last] if last else [])


@pytest.mark.usefixtures("pure")
@given(TEXTS.filter(bool))
def test_lines_lose_their_ends_and_nothing_else(text: bytes) -> None:
    assert cut(text) == by_hand(text)


@pytest.mark.usefixtures("pure")
@pytest.mark.parametrize("text", [b"\n" * 5_000, b"x" * 100_000, b"a\n" * 5_000 + b"b", b"\r\r\n\r\n\n"])
def test_lines_of_any_length(text: bytes) -> None:
    assert cut(text) == by_hand(text)


@pytest.mark.usefixtures("pure")
def test_nothing_is_found_in_nothing() -> None:
    assert line_ends.find_byte(np.empty(0, np.uint8), ord("\n")).tolist() == []


@pytest.mark.usefixtures("pure")
def test_record_of_several_lines_keeps_the_ends_inside() -> None:
    text = b"one\n two\r\nthree\n"
    lines = line_ends.ended_lines(pa.py_buffer(text), np.array([10, 16]))
    assert lines.to_pylist() == [b"one\n two", b"three"]
