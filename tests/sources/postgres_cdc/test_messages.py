"""Messages of the stream: the kernels do what their plain twin does, whatever comes."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.sources.postgres_cdc import messages_twin

kernel_messages = pytest.importorskip("ingest.sources.postgres_cdc._messages", reason="no compiled kernels here")
kernel_rows = pytest.importorskip("ingest.sources.postgres_cdc._rows")

NOTHING = (False, 0, 0, 0, 0)
LSN = st.integers(0, 2**40)
TEXTS = {
    0: st.binary(max_size=20),
    1: st.binary(max_size=9).map(lambda content: b"\\x" + content.hex().encode()),
    2: st.sampled_from([b"t", b"f"]),
    3: st.integers(-(2**15), 2**15 - 1).map(lambda number: str(number).encode()),
    4: st.integers(-(2**31), 2**31 - 1).map(lambda number: str(number).encode()),
    5: st.integers(-(2**63), 2**63 - 1).map(lambda number: str(number).encode()),
    6: st.integers(0, 2**32 - 1).map(lambda number: str(number).encode()),
    7: st.one_of(
        st.dates().map(lambda day: day.isoformat().encode()),
        st.sampled_from(
            [b"infinity", b"-infinity", b"0044-03-15 BC", b"4713-01-01 BC", b"5874897-12-31", b"0001-02-29 BC"]
        ),
    ),
    8: st.times().map(lambda time: time.isoformat().encode()),
    9: st.one_of(
        st.datetimes().map(lambda moment: moment.isoformat(" ").encode()),
        st.datetimes().map(lambda moment: moment.isoformat(" ").encode() + b"+00"),
        st.sampled_from(
            [
                b"infinity",
                b"-infinity",
                b"0044-03-15 12:00:00 BC",
                b"0044-03-15 12:00:00.5+00 BC",
                b"294276-12-31 23:59:59",
            ]
        ),
    ),
}


def value(kind: int) -> st.SearchStrategy[bytes]:
    text = TEXTS[kind].map(lambda content: b"t" + struct.pack(">I", len(content)) + content)
    return st.one_of(text, st.sampled_from([b"n", b"u"]))


def row(kinds: list[int]) -> st.SearchStrategy[bytes]:
    return st.tuples(*map(value, kinds)).map(lambda values: struct.pack(">H", len(kinds)) + b"".join(values))


def change(kinds: list[int]) -> st.SearchStrategy[bytes]:
    oid = st.integers(1, 3).map(lambda number: struct.pack(">I", number))
    old = st.tuples(st.sampled_from([b"K", b"O"]), row(kinds)).map(b"".join)
    new = row(kinds).map(lambda content: b"N" + content)
    return st.one_of(
        st.tuples(st.just(b"I"), oid, new).map(b"".join),
        st.tuples(st.just(b"U"), oid, st.one_of(st.just(b""), old), new).map(b"".join),
        st.tuples(st.just(b"D"), oid, old).map(b"".join),
        st.lists(oid, max_size=3).map(lambda all_: b"T" + struct.pack(">IB", len(all_), 0) + b"".join(all_)),
        st.just(b"R" + b"anything"),
        st.just(b"O" + b"origin"),
    )


def transaction(kinds: list[int]) -> st.SearchStrategy[list[bytes]]:
    begin = st.tuples(LSN, LSN, st.integers(0, 2**32 - 1)).map(lambda all_: b"B" + struct.pack(">qqI", *all_))
    commit = st.tuples(LSN, LSN, LSN).map(lambda all_: b"C\0" + struct.pack(">qqq", *all_))
    return st.tuples(begin, st.lists(change(kinds), max_size=5), commit).map(lambda all_: [all_[0], *all_[1], all_[2]])


def frame(message: bytes) -> bytes:
    return np.uint32(len(message)).tobytes() + message


@st.composite
def stream(draw: Any) -> tuple[list[int], list[bytes]]:
    kinds = draw(st.lists(st.integers(0, 9), min_size=1, max_size=5))
    frames = []
    for payloads in draw(st.lists(transaction(kinds), max_size=4)):
        for payload in payloads:
            frames.append(frame(b"w" + struct.pack(">qqq", draw(LSN), 0, 0) + payload))
            if draw(st.integers(0, 5)) == 0:
                frames.append(frame(b"k" + struct.pack(">qqB", draw(LSN), 0, draw(st.integers(0, 1)))))
    return kinds, frames


def listed(found: Any) -> Any:
    changes, transactions, relations, end, reply, carried = found
    return changes.tolist(), transactions.tolist(), relations, end, reply, tuple(carried)


def outcome(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except ValueError:
        return None


@settings(max_examples=50)
@given(stream(), st.data())
def test_both_find_the_same_changes_wherever_the_stream_is_cut(sent: tuple[list[int], list[bytes]], data: Any) -> None:
    _, frames = sent
    cut = data.draw(st.integers(0, len(frames)))
    carried = [NOTHING, NOTHING]
    for part in (frames[:cut], frames[cut:]):
        memory = np.frombuffer(b"".join(part), np.uint8)
        found = [kernel_messages.scan(memory, carried[0]), messages_twin.scan(memory, carried[1])]
        assert listed(found[0]) == listed(found[1])
        carried = [each[5] for each in found]


@settings(max_examples=50)
@given(stream())
def test_both_read_the_same_rows(sent: tuple[list[int], list[bytes]]) -> None:
    kinds, frames = sent
    memory = np.frombuffer(b"".join(frames), np.uint8)
    changes = messages_twin.scan(memory, NOTHING)[0]
    for places in (changes[5], changes[7]):
        places = np.ascontiguousarray(places)
        columns, refused = kernel_rows.read_rows(memory, places, np.array(kinds, np.int32))
        expected, expected_refused = messages_twin.read_rows(memory, places, kinds)
        assert refused.tolist() == expected_refused.tolist()
        for column, other in zip(columns, expected, strict=True):
            assert [part.tolist() for part in column] == [part.tolist() for part in other]


@settings(max_examples=150)
@given(stream(), st.data())
def test_both_refuse_what_is_damaged(sent: tuple[list[int], list[bytes]], data: Any) -> None:
    kinds, frames = sent
    content = bytearray(b"".join(frames))
    for _ in range(data.draw(st.integers(1, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    memory = np.frombuffer(bytes(content[: data.draw(st.integers(0, len(content)))]), np.uint8)
    found = outcome(kernel_messages.scan, memory, NOTHING)
    expected = outcome(messages_twin.scan, memory, NOTHING)
    assert (found is None) == (expected is None)
    if found is not None and expected is not None:
        assert listed(found) == listed(expected)
        places = np.ascontiguousarray(found[0][7])
        rows = outcome(kernel_rows.read_rows, memory, places, np.array(kinds, np.int32))
        assert (rows is None) == (outcome(messages_twin.read_rows, memory, places, kinds) is None)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (2, b"true"),
        (3, b"32768"),
        (4, b""),
        (4, b"-"),
        (4, b"1x"),
        (5, b"9223372036854775808"),
        (6, b"-1"),
        (7, b"2026-1-1"),
        (7, b"26-01-01"),
        (8, b"12:00"),
        (9, b"2026-01-01"),
        (9, b"2026-01-01 12:00:00+02"),
        (1, b"\\xabc"),
        (1, b"escape"),
    ],
)
def test_a_value_of_another_type_is_refused_by_both(kind: int, text: bytes) -> None:
    memory = np.frombuffer(struct.pack(">H", 1) + b"t" + struct.pack(">I", len(text)) + text, np.uint8)
    places = np.array([0])
    for read in (kernel_rows.read_rows, messages_twin.read_rows):
        with pytest.raises(ValueError, match=r"."):
            read(memory, places, np.array([kind], np.int32))
