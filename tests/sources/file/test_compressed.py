"""Compressed files: resumed inside, whole or half written, damaged."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st
from tailing import Tail, numbered

from ingest.sources.file.content import PackedContent
from ingest.sources.file.decompress import Damaged, Decompressor, compression_of

WAIT_MS = 5_000
PACK = {"gzip": gzip.compress, "bz2": bz2.compress, "zstd": zstd.compress}
members = st.binary(max_size=300) | st.integers(0, 5_000).map(lambda size: b"a" * size)
every_way = pytest.mark.parametrize("how", list(PACK))


def text(first: int, beyond: int) -> bytes:
    return "".join(f"{line}\n" for line in numbered(first, beyond)).encode()


@given(st.sampled_from(sorted(PACK)), st.lists(members, max_size=4), st.integers(1, 40), st.integers(1, 9))
@settings(deadline=None, max_examples=80)
def test_any_pieces_give_the_content(how: str, contents: list[bytes], piece: int, most: int) -> None:
    packed = b"".join(PACK[how](member) for member in contents)
    decompressor, content = Decompressor(how), b""
    for begin in range(0, len(packed), piece):
        out = decompressor.feed(packed[begin : begin + piece], most)
        assert len(out) <= most
        content += out
        while not decompressor.wants_input:
            content += decompressor.feed(b"", most)
    assert content == b"".join(contents)
    assert decompressor.between_members


def test_all_that_can_be_decompressed_comes_before_more_is_asked_for() -> None:
    packed = gzip.compress(b"a" * 20_000 + b"b" * 20_000)
    for cut in range(10, len(packed)):
        decompressor = Decompressor("gzip")
        size = len(decompressor.feed(packed[:cut], 100))
        while not decompressor.wants_input:
            size += len(decompressor.feed(b"", 100))
        assert size == len(zlib.decompressobj(wbits=31).decompress(packed[:cut]))


@every_way
def test_a_flipped_byte_is_damage_or_harmless_but_never_a_crash(how: str) -> None:
    packed = bytearray(PACK[how](text(0, 30)))
    for place in range(len(packed)):
        packed[place] ^= 0x55
        decompressor = Decompressor(how)
        with contextlib.suppress(Damaged):
            assert len(decompressor.feed(bytes(packed), 10_000)) <= 10_000
        packed[place] ^= 0x55


@every_way
def test_reading_back_and_forth(how: str, tmp_path: Path) -> None:
    data = text(0, 60_000)
    (tmp_path / "x").write_bytes(PACK[how](data))
    content = PackedContent(os.open(tmp_path / "x", os.O_RDONLY), how)
    for offset, size in ((0, 10), (5, 100), (1_000_000, 500_000), (999_000, 10), (0, 4), (len(data) - 5, 100)):
        while not content.prepare(offset):
            pass
        assert content.read(offset, size).tobytes() == data[offset : offset + size]
    assert content.finished
    content.close()


@every_way
def test_file_is_resumed_inside(new_tail: Callable[..., Tail], tmp_path: Path, how: str) -> None:
    tail = new_tail(batch_bytes=1_000)
    (tmp_path / "x.log.1").write_bytes(PACK[how](text(0, 400)))
    while len(tail.lines) < 400:
        tail.poll()
        tail.poll_uncommitted()
        tail.stop()
    assert tail.settle(WAIT_MS) == numbered(0, 400)


@every_way
def test_members_that_are_appended_are_read_on(tail: Tail, tmp_path: Path, how: str) -> None:
    log = tmp_path / "x.log.gz"
    log.write_bytes(PACK[how](text(0, 50)))
    assert tail.settle(WAIT_MS) == numbered(0, 50)
    with log.open("ab") as file:
        file.write(PACK[how](text(50, 80)))
    assert tail.settle(WAIT_MS) == numbered(0, 80)
    tail.stop()
    with log.open("ab") as file:
        file.write(PACK[how](text(80, 90)))
    assert tail.settle(WAIT_MS) == numbered(0, 90)


@every_way
def test_half_written_file_waits_for_its_other_half(tail: Tail, tmp_path: Path, how: str) -> None:
    packed = PACK[how](text(0, 5_000))
    log = tmp_path / "x.packed"
    log.write_bytes(packed[: len(packed) // 2])
    before = len(tail.settle(20 * WAIT_MS))
    assert before < 5_000
    assert not tail.dead
    tail.stop()
    log.write_bytes(packed)
    assert tail.settle(WAIT_MS) == numbered(0, 5_000)


def test_damaged_file_is_told_once_and_what_can_be_read_is_read(tail: Tail, tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(text(0, 20_000)))
    packed[len(packed) // 2 : len(packed) // 2 + 8] = b"\xff" * 8
    (tmp_path / "x.gz").write_bytes(packed)
    lines = tail.settle(2 * WAIT_MS)
    assert lines == numbered(0, len(lines))
    assert len(tail.dead) == 1
    assert tail.dead[0].error == "DamagedFile"
    assert "gzip data is corrupt" in tail.reasons[0]
    tail.stop()
    assert tail.settle(2 * WAIT_MS) == lines
    assert len(tail.dead) == 1


def test_rubbish_after_a_member_is_told(tail: Tail, tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(text(0, 10)) + b"rubbish")
    assert tail.settle(2 * WAIT_MS) == numbered(0, 10)
    assert len(tail.dead) == 1


def test_zero_padding_after_a_member_is_nothing(tail: Tail, tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(text(0, 10)) + b"\0" * 512)
    assert tail.settle(2 * WAIT_MS) == numbered(0, 10)
    assert not tail.dead


def test_truncated_file_is_told_by_a_run_that_cannot_wait(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    packed = gzip.compress(text(0, 5_000))
    (tmp_path / "x.gz").write_bytes(packed[: len(packed) // 2])
    tail = new_tail(until=True)
    first = list(tail.drain())
    assert ["ends in the middle" in reason for reason in tail.reasons] == [True]
    tail.drain()
    assert len(tail.dead) == 1
    (tmp_path / "x.gz").write_bytes(packed)
    assert tail.drain() == numbered(0, 5_000)
    assert len(first) < 5_000


def test_last_line_without_its_end_in_a_whole_compressed_file(tail: Tail, tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"one\ntwo"))
    assert tail.settle(2 * WAIT_MS) == ["one", "two"]


def test_compressed_nothing_is_nothing(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    for how, pack in PACK.items():
        (tmp_path / how).write_bytes(pack(b""))
    assert new_tail(until=True).drain() == []


def test_plain_file_named_gz_is_plain(tail: Tail, tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(b"one\n")
    assert tail.settle() == ["one"]


def test_a_bomb_is_read_in_bounded_memory(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(batch_bytes=100_000, max_line=1_000)
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"x" * 50_000_000 + b"\nafter\n"))
    assert tail.settle(WAIT_MS) == ["after"]
    assert sum(map(len, tail.dead_lines)) == 50_000_000
    assert max(map(len, tail.dead_lines)) <= 300_000


@pytest.mark.parametrize(
    ("first", "expected"),
    [(b"\x1f\x8b\x08\0", "gzip"), (b"BZh9", "bz2"), (b"(\xb5/\xfd", "zstd"), (b"abcd", "none"), (b"BZ", None)],
)
def test_first_bytes_tell_the_compression(first: bytes, expected: str | None) -> None:
    assert compression_of(first) == expected


def test_another_file_written_in_its_place_is_another_file(tail: Tail, tmp_path: Path) -> None:
    log = tmp_path / "x.gz"
    log.write_bytes(gzip.compress(text(0, 10)))
    assert tail.settle(WAIT_MS) == numbered(0, 10)
    log.write_bytes(gzip.compress(text(10, 500)))
    assert tail.settle(2 * WAIT_MS) == numbered(0, 500)
    assert not tail.dead
