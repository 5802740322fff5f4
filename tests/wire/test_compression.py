"""The five codecs: what others wrote is read, what lies is refused before it takes memory."""

from __future__ import annotations

import gzip
import random
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import cramjam
import lz4.frame
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_columns import some

from ingest.errors import CorruptBatch, TooLarge, UnsupportedBatch, WireError
from ingest.wire import codec
from ingest.wire.batch import CODECS, HEADER_BYTES, read_header
from ingest.wire.compression import compress, decompress

PACKED = CODECS[1:]
MIB = 1 << 20


@contextmanager
def at_most(limit_bytes: int) -> Iterator[None]:
    """Fails if more memory than this is taken within, by Python or by Arrow."""
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] + (pool.max_memory() or 0) < limit_bytes
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)


@pytest.mark.parametrize("name", CODECS)
@given(data=st.binary(max_size=300), times=st.sampled_from([1, 2, 1000]), random_tail=st.booleans())
def test_what_was_compressed_comes_back(name: str, data: bytes, times: int, random_tail: bool) -> None:
    whole = data * times + (random.Random(1).randbytes(70_000) if random_tail else b"")
    assert decompress(name, compress(name, whole), max(len(whole), 1)) == whole


@pytest.mark.parametrize("name", ["gzip", "lz4", "zstd"])
def test_levels_are_honoured(name: str) -> None:
    dice = random.Random(3)
    words = [dice.randbytes(dice.randrange(3, 9)) for _ in range(500)]
    data = b" ".join(dice.choice(words) for _ in range(20_000))
    assert len(compress(name, data, 9)) < len(compress(name, data, 1))


@pytest.mark.parametrize("name", PACKED)
def test_exactly_the_bound_is_read_and_one_byte_more_is_not(name: str) -> None:
    data = bytes(100_000)
    packed = compress(name, data)
    assert decompress(name, packed, 100_000) == data
    with pytest.raises(TooLarge):
        decompress(name, packed, 99_999)


@pytest.mark.parametrize("name", PACKED)
def test_a_decompression_bomb_is_refused_before_it_takes_memory(name: str) -> None:
    bomb = compress(name, bytes(256 * MIB))
    assert len(bomb) < 16 * MIB
    with at_most(12 * MIB + 2 * len(bomb)), pytest.raises(TooLarge):
        decompress(name, bomb, MIB)


@pytest.mark.parametrize("block", [b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x08x", b"\xff\xff\xff\x7fabc"])
def test_a_snappy_block_that_says_more_than_it_can_hold_takes_no_memory(block: bytes) -> None:
    framed = compress("snappy", b"")[:16] + len(block).to_bytes(4, "big") + block
    for data in (block, framed):
        with at_most(MIB), pytest.raises(CorruptBatch):
            decompress("snappy", data, 1 << 40)


def test_an_lz4_frame_has_blocks_that_stand_alone_as_the_java_client_demands() -> None:
    packed = compress("lz4", b"abc" * 100_000)
    info = lz4.frame.get_frame_info(packed)
    assert not info["block_linked"]
    assert info["block_size"] == 64 * 1024
    assert lz4.frame.decompress(packed) == b"abc" * 100_000


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("checked", [True, False])
def test_every_kind_of_lz4_frame_is_read(linked: bool, checked: bool) -> None:
    data = random.Random(4).randbytes(1000) * 1000
    packed = lz4.frame.compress(
        data, block_linked=linked, block_checksum=checked, content_checksum=checked, store_size=checked
    )
    assert decompress("lz4", packed, len(data)) == data


def test_raw_snappy_is_read_as_some_clients_write_it() -> None:
    data = b"raw" * 10_000
    assert decompress("snappy", bytes(cramjam.snappy.compress_raw(data)), len(data)) == data


@pytest.mark.parametrize("name", ["gzip", "lz4", "zstd"])
def test_frames_that_follow_each_other_are_one_text(name: str) -> None:
    assert decompress(name, compress(name, b"one ") + compress(name, b"two"), 100) == b"one two"


def test_thousands_of_tiny_frames_do_not_take_quadratic_time() -> None:
    frames = gzip.compress(b"x") * 50_000
    assert decompress("gzip", frames, 50_000) == b"x" * 50_000


@pytest.mark.parametrize("name", PACKED)
def test_every_cut_is_corrupt(name: str) -> None:
    packed = compress(name, b"cut me " * 30)
    for end in range(len(packed)):
        if name == "snappy" and end == 16:
            continue  # the frame's header alone is a frame of nothing
        with pytest.raises(CorruptBatch):
            decompress(name, packed[:end], 1000)


@pytest.mark.parametrize("name", PACKED)
def test_garbage_is_corrupt(name: str) -> None:
    dice = random.Random(2)
    for size in (1, 5, 20, 300):
        with pytest.raises(CorruptBatch):
            decompress(name, b"\xff\xff\xff\xff\x7f" + dice.randbytes(size), 1000)


@pytest.mark.parametrize("name", PACKED)
def test_damaged_data_is_read_or_refused_but_never_a_crash(name: str) -> None:
    dice = random.Random(5)
    whole = codec.encode_batch(some(200), compression=name)
    refused = 0
    for _ in range(400):
        batch = bytearray(whole)
        batch[dice.randrange(HEADER_BYTES, len(batch))] ^= 1 << dice.randrange(8)
        try:
            codec.decode_batch(batch, read_header(batch), check=False)
        except WireError as error:
            refused += error.facts["position"] == 0
    assert refused


def test_an_unknown_codec_is_unsupported() -> None:
    for act in (lambda: compress("brotli", b""), lambda: decompress("brotli", b"", 1)):
        with pytest.raises(UnsupportedBatch):
            act()


def test_what_zlib_calls_gzip_we_do_too() -> None:
    packed = compress("gzip", b"hello")
    assert zlib.decompress(packed, 31) == b"hello"
