"""Markers of transactions, and which partition a key belongs to."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import CorruptBatch
from ingest.wire import codec, codec_numpy
from ingest.wire.arrow_buffers import flat
from ingest.wire.batch import check_crc, read_header
from ingest.wire.columns import RecordColumns
from ingest.wire.control import Marker, decode_marker, encode_marker
from ingest.wire.keys import murmur2, partition_of

KAFKAS_VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize("kind", list(Marker))
def test_a_marker_says_how_the_transaction_ended(kind: Marker) -> None:
    batch = encode_marker(kind, 7, 3, 1_770_000_000_000, base_offset=12)
    header = read_header(batch)
    check_crc(batch, header)
    assert decode_marker(batch, header) is kind
    assert (header.is_control, header.is_transactional, header.producer_id, header.next_offset) == (True, True, 7, 13)


def test_a_batch_of_records_is_no_marker() -> None:
    batch = codec.encode_batch(RecordColumns(pa.array([b"x"]), np.zeros(1, np.int64)))
    with pytest.raises(CorruptBatch):
        decode_marker(batch, read_header(batch))


@pytest.mark.parametrize("key", KAFKAS_VECTORS)
def test_keys_hash_as_kafka_hashes_them(key: bytes) -> None:
    assert murmur2(key) == KAFKAS_VECTORS[key]
    assert codec_numpy.murmur2(flat(pa.array([key])))[0] == KAFKAS_VECTORS[key]


@given(st.lists(st.binary(max_size=20), max_size=30))
def test_the_twin_hashes_alike(keys: list[bytes]) -> None:
    array = flat(pa.array(keys, pa.binary()))
    assert codec_numpy.murmur2(array).tolist() == codec.kernel.murmur2(array).tolist()


def test_partitions_are_within_bounds_and_use_the_positive_hash() -> None:
    keys = pa.array(list(KAFKAS_VECTORS))
    expected = [(value & 0x7FFFFFFF) % 7 for value in KAFKAS_VECTORS.values()]
    assert partition_of(keys, 7).tolist() == expected
