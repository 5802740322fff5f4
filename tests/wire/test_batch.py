"""The header of a batch: what it says, what is patched, and what cannot be true."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_columns import rows, some

from ingest.errors import CorruptBatch, UnsupportedBatch
from ingest.wire import codec
from ingest.wire.batch import (
    HEADER_BYTES,
    BatchHeader,
    check_crc,
    place,
    read_header,
    stamp_log_append_time,
    whole_batches,
    write_header,
)


def test_a_header_says_what_was_stamped_on_the_batch() -> None:
    batch = codec.encode_batch(
        some(4),
        base_offset=100,
        compression="zstd",
        leader_epoch=6,
        producer_id=2**40,
        producer_epoch=9,
        base_sequence=11,
        transactional=True,
    )
    header = read_header(batch)
    assert (header.base_offset, header.last_offset, header.next_offset) == (100, 103, 104)
    assert (header.size_bytes, header.record_count, header.leader_epoch) == (len(batch), 4, 6)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (2**40, 9, 11)
    assert header.last_sequence == 14
    assert (header.codec, header.is_transactional, header.is_control) == ("zstd", True, False)
    assert (header.base_timestamp, header.max_timestamp) == (1_770_000_000_000, 1_770_000_000_003)
    assert not header.log_append_time
    assert header.delete_horizon_ms is None


@given(
    st.builds(
        BatchHeader,
        base_offset=st.integers(0, 2**62),
        size_bytes=st.just(HEADER_BYTES),
        leader_epoch=st.integers(-1, 2**31 - 1),
        magic=st.just(2),
        crc=st.just(0),
        attributes=st.integers(0, 2**15 - 1),
        last_offset_delta=st.integers(100, 2**31 - 1),
        base_timestamp=st.integers(-(2**63), 2**63 - 1),
        max_timestamp=st.integers(-(2**63), 2**63 - 1),
        producer_id=st.integers(-1, 2**63 - 1),
        producer_epoch=st.integers(-1, 2**15 - 1),
        base_sequence=st.integers(-1, 2**31 - 1),
        record_count=st.integers(0, 100),
    )
)
def test_a_header_is_read_as_it_was_written(header: BatchHeader) -> None:
    buffer = bytearray(7 + HEADER_BYTES)
    write_header(buffer, header, 7)
    found = read_header(buffer, 7)
    check_crc(buffer, found, 7)
    fields = [name for name in BatchHeader.__slots__ if name != "crc"]
    assert [getattr(found, name) for name in fields] == [getattr(header, name) for name in fields]


def test_a_sequence_wraps_behind_the_largest_number() -> None:
    header = read_header(codec.encode_batch(some(4), producer_id=1, producer_epoch=0, base_sequence=2**31 - 2))
    assert header.last_sequence == 1


def test_placing_a_batch_keeps_its_crc() -> None:
    batch = codec.encode_batch(some())
    place(batch, 0, 2**40, 7)
    header = read_header(batch)
    check_crc(batch, header)
    assert (header.base_offset, header.leader_epoch, header.size_bytes) == (2**40, 7, len(batch))


def test_log_append_time_replaces_every_timestamp() -> None:
    batch = bytearray(b"before") + codec.encode_batch(some())
    stamp_log_append_time(batch, 6, 42)
    header = read_header(batch, 6)
    assert header.log_append_time
    assert [row[0] for row in rows(codec.decode_batch(batch, header, 6))] == [42, 42, 42]


def test_whole_batches_stop_at_a_partial_tail() -> None:
    one, two = codec.encode_batch(some(1)), codec.encode_batch(some(2), base_offset=1)
    for tail in (b"", two[:-1], two[:HEADER_BYTES], two[: HEADER_BYTES - 1], two[:1]):
        found = list(whole_batches(bytes(one + two + tail)))
        assert [(position, header.record_count) for position, header in found] == [(0, 1), (len(one), 2)]
    assert [position for position, _ in whole_batches(one + two, len(one))] == [len(one)]


@pytest.mark.parametrize(
    ("at", "layout", "value"),
    [
        pytest.param(0, ">q", -1, id="offset below zero"),
        pytest.param(0, ">q", 2**63 - 1, id="last offset beyond what 64 bits hold"),
        pytest.param(8, ">i", 48, id="shorter than a header"),
        pytest.param(8, ">i", -1, id="length below zero"),
        pytest.param(16, ">b", 1, id="magic 1"),
        pytest.param(23, ">i", -1, id="last offset before the first"),
        pytest.param(57, ">i", -1, id="count below zero"),
        pytest.param(57, ">i", 4, id="more records than offsets"),
    ],
)
def test_a_header_that_cannot_be_true_is_corrupt_and_says_where(at: int, layout: str, value: int) -> None:
    batch = bytearray(b"xy") + codec.encode_batch(some(3))
    struct.pack_into(layout, batch, 2 + at, value)
    with pytest.raises(CorruptBatch) as caught:
        read_header(batch, 2)
    assert caught.value.facts["position"] == 2


@pytest.mark.parametrize("size", [0, 1, 12, HEADER_BYTES - 1])
def test_less_than_a_header_is_corrupt(size: int) -> None:
    with pytest.raises(CorruptBatch):
        read_header(bytes(codec.encode_batch(some()))[:size])


def test_no_flipped_bit_passes_the_check() -> None:
    whole = codec.encode_batch(some(8), producer_id=3, producer_epoch=0, base_sequence=0)
    outside = [*range(8), *range(12, 16)]  # base offset and leader epoch are set by the log: no CRC covers them
    for position in set(range(len(whole))) - set(outside):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            with pytest.raises(CorruptBatch):
                check_crc(damaged, read_header(damaged))


def test_a_codec_that_nobody_knows_is_unsupported() -> None:
    batch = codec.encode_batch(some())
    batch[22] |= 7
    with pytest.raises(UnsupportedBatch):
        codec.decode_batch(batch, read_header(batch), check=False)
