"""Messages are found in a stream however it is cut into pieces on its way."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.messages.cut import Cut, Framing, FramingLost
from ingest.sources.messages.lines import Lines
from ingest.sources.messages.octets import Octets, OctetsOrLines

MOST = 64

texts = st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"").replace(b"\r", b""))
messages = st.lists(texts.map(lambda data: b"<13>" + data), max_size=12)
cuts = st.lists(st.integers(0, 600), max_size=12)


def fed(framing: Framing, stream: bytes, cuts: list[int], *, clean: bool = True) -> Cut:
    found = Cut()
    places = [0, *sorted(min(place, len(stream)) for place in cuts), len(stream)]
    for begin, end in pairwise(places):
        cut = framing.feed(stream[begin:end])
        found.messages += cut.messages
        found.refused += cut.refused
    last = framing.end(clean=clean)
    return Cut(found.messages + last.messages, found.refused + last.refused)


def counted(message: bytes) -> bytes:
    return b"%d %b" % (len(message), message)


@given(messages, cuts)
def test_lines(sent: list[bytes], cuts: list[int]) -> None:
    assert fed(Lines(MOST, split=False), b"".join(message + b"\n" for message in sent), cuts) == Cut(sent)


@given(messages, cuts)
def test_counted_messages(sent: list[bytes], cuts: list[int]) -> None:
    assert fed(Octets(MOST, split=False), b"".join(map(counted, sent)), cuts) == Cut(sent)


@given(st.lists(st.tuples(st.booleans(), texts), max_size=12), cuts)
def test_both_kinds_in_one_stream(sent: list[tuple[bool, bytes]], cuts: list[int]) -> None:
    whole = [(kind, b"<13>" + text) for kind, text in sent]
    stream = b"".join(counted(message) if kind else message + b"\n" for kind, message in whole)
    assert fed(OctetsOrLines(MOST, split=False), stream, cuts) == Cut([message for _, message in whole])


@given(st.lists(st.binary(min_size=1, max_size=300).map(lambda data: data.replace(b"\n", b"x")), max_size=6), cuts)
@pytest.mark.parametrize("kind", ["lines", "octets", "auto"])
def test_no_byte_of_a_long_message_is_lost(kind: str, sent: list[bytes], cuts: list[int]) -> None:
    sent = [b"<1>" + message.replace(b"\r", b"x") for message in sent]
    stream = b"".join(counted(message) if kind == "octets" else message + b"\n" for message in sent)
    framing = {"lines": Lines, "octets": Octets, "auto": OctetsOrLines}[kind]
    refused = fed(framing(MOST, split=False), stream, cuts)
    long = [message for message in sent if len(message) > MOST]
    assert refused.messages == [message for message in sent if len(message) <= MOST]
    assert b"".join(piece.data for piece in refused.refused) == b"".join(long)
    assert all(len(piece.data) <= MOST for piece in refused.refused)
    split = fed(framing(MOST, split=True), stream, cuts)
    assert b"".join(split.messages) == b"".join(sent)
    assert not split.refused


@given(st.binary(max_size=400), cuts)
@pytest.mark.parametrize("framing", [Lines, OctetsOrLines])
def test_any_bytes_are_taken_by_lines_and_come_out(framing: type, stream: bytes, cuts: list[int]) -> None:
    found = fed(framing(MOST, split=False), stream, cuts)
    held = b"".join(found.messages) + b"".join(piece.data for piece in found.refused)
    assert len(held) <= len(stream)
    if framing is Lines:
        without_ends = stream.replace(b"\r\n", b"\n").removesuffix(b"\r").replace(b"\n", b"")
        assert sorted(held) == sorted(without_ends)


def test_pieces_are_cut_between_characters() -> None:
    found = fed(Lines(10, split=True), "äöüäöü€€€€\n".encode(), [])
    assert "".join(piece.decode() for piece in found.messages) == "äöüäöü€€€€"


def test_carriage_returns_before_line_feeds_and_blank_lines() -> None:
    assert fed(Lines(MOST, split=False), b"a\r\n\r\nb\rc\n", [2]).messages == [b"a", b"", b"b\rc"]
    assert fed(Lines(MOST, split=False, blank=False), b"a\n\n\nb\n", []).messages == [b"a", b"b"]


def test_a_line_that_begins_with_a_number_is_no_counted_message() -> None:
    stream = b"2026-01-31 23:59:58 host app: text\n12 monkeys\n7\n"
    assert fed(OctetsOrLines(MOST, split=False), stream, list(range(60))).messages == stream.splitlines()


def test_line_ends_after_counted_messages_are_passed_over() -> None:
    assert fed(OctetsOrLines(MOST, split=False), b"4 <1>a\n5 <1>bc\n\n", []).messages == [b"<1>a", b"<1>bc"]
    assert fed(Octets(MOST, split=False), b"4 <1>a\r\n5 <1>bc", []).messages == [b"<1>a", b"<1>bc"]


def test_a_stream_without_counts_is_given_up_and_kept() -> None:
    with pytest.raises(FramingLost) as lost:
        Octets(MOST, split=False).feed(b"4 <1>a<2>no count")
    assert lost.value.cut.messages == [b"<1>a"]
    assert [piece.data for piece in lost.value.cut.refused] == [b"<2>no count"]


def test_a_forged_count_takes_no_memory() -> None:
    framing = Octets(MOST, split=False)
    assert not framing.feed(b"9999999999 <1>")
    for _ in range(100):
        framing.feed(b"x" * 10_000)
    assert len(framing._rest) <= MOST


@pytest.mark.parametrize("framing", [Octets, OctetsOrLines])
def test_a_counted_message_that_was_cut_off_is_refused(framing: type) -> None:
    found = fed(framing(MOST, split=False), b"4 <1>a20 <2>half", [], clean=True)
    assert found.messages == [b"<1>a"]
    assert [(piece.data, piece.error) for piece in found.refused] == [(b"20 <2>half", "CutOff")]


def test_a_line_of_a_broken_connection_is_refused() -> None:
    found = fed(Lines(MOST, split=False), b"a\nhal", [], clean=False)
    assert (found.messages, [piece.data for piece in found.refused]) == ([b"a"], [b"hal"])
