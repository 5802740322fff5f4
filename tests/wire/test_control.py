"""Markers of transactions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from record_columns import some

from ingest.errors import CorruptBatch
from ingest.wire import codec
from ingest.wire.batch import CONTROL, check_crc, read_header, write_header
from ingest.wire.columns import RecordColumns
from ingest.wire.control import Marker, decode_marker, encode_marker


@pytest.mark.parametrize("kind", list(Marker))
def test_a_marker_says_how_the_transaction_ended(kind: Marker) -> None:
    batch = bytearray(3) + encode_marker(kind, 7, 3, 1_770_000_000_000, base_offset=12)
    header = read_header(batch, 3)
    check_crc(batch, header, 3)
    assert decode_marker(batch, header, 3) is kind
    assert (header.is_control, header.is_transactional, header.producer_id, header.next_offset) == (True, True, 7, 13)


def test_a_marker_takes_78_bytes_as_kafkas_do() -> None:
    batch = encode_marker(Marker.COMMIT, 1, 0, 5, coordinator_epoch=258)
    assert len(batch) == 78
    assert batch[61:] == bytes.fromhex("20 00 00 00 08 0000 0001 0c 0000 00000102 00")


def test_a_marker_is_a_record_like_any_other_to_the_codec() -> None:
    batch = encode_marker(Marker.ABORT, 7, 3, 99)
    found = codec.decode_batch(batch, read_header(batch))
    assert found.keys is not None
    assert (found.keys.to_pylist(), found.timestamps.tolist()) == ([bytes(4)], [99])


def test_a_batch_of_records_is_no_marker() -> None:
    batch = codec.encode_batch(some())
    with pytest.raises(CorruptBatch):
        decode_marker(batch, read_header(batch))


@pytest.mark.parametrize("key", [None, b"", b"\0\0\0", b"\0\0\0\7"])
def test_a_control_record_of_another_kind_is_corrupt(key: bytes | None) -> None:
    batch = codec.encode_batch(RecordColumns(pa.array([b"x"]), np.zeros(1, np.int64), pa.array([key], pa.binary())))
    batch[22] |= CONTROL
    write_header(batch, read_header(batch))
    with pytest.raises(CorruptBatch):
        decode_marker(batch, read_header(batch))


def test_every_cut_of_a_marker_is_corrupt() -> None:
    batch = encode_marker(Marker.COMMIT, 7, 3, 5)
    for end in range(61, len(batch)):
        with pytest.raises(CorruptBatch):
            decode_marker(batch[:end], read_header(batch))
