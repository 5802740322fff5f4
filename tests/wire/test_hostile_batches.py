"""Bytes that lie: both kernels refuse them, for the same record, and none of them costs memory."""

from __future__ import annotations

import random
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_columns import KERNELS, columns, rows, some, using

from ingest.errors import CorruptBatch, TooLarge, WireError
from ingest.wire import codec
from ingest.wire.batch import HEADER_BYTES, BatchHeader, read_header, write_header
from ingest.wire.columns import RecordColumns
from ingest.wire.varint import encode_varint

BOTH = pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.__name__.rpartition(".")[2])


def sealed(section: bytes, count: int = 1, last_delta: int | None = None) -> bytearray:
    """A batch with a right CRC around any bytes."""
    batch = bytearray(HEADER_BYTES) + section
    delta = max(count - 1, 0) if last_delta is None else last_delta
    write_header(batch, BatchHeader(0, len(batch), 0, 2, 0, 0, delta, 0, 0, -1, -1, -1, count))
    return batch


def record(
    *,
    length: bytes | None = None,
    timestamp: bytes = b"\0",
    offset: bytes = b"\0",
    key: bytes = b"\1",
    value: bytes = b"\1",
    headers: bytes = b"\0",
    more: bytes = b"",
) -> bytes:
    body = b"\0" + timestamp + offset + key + value + headers + more
    return (encode_varint(len(body)) if length is None else length) + body


def outcome(kernel: Any, batch: Any) -> Any:
    """The records, or which error it is and which record it blames."""
    with using(kernel):
        try:
            found = codec.decode_batch(batch, read_header(batch), check=False)
        except WireError as error:
            return type(error), error.facts["position"], error.facts.get("record")
    for column in (found.values, found.keys, found.headers):
        if column is not None:
            column.validate(full=True)
    assert found.offsets is not None
    return rows(found), found.offsets.tolist()


LIES = {
    "length beyond the section": record(length=encode_varint(1000)),
    "length below zero": record(length=encode_varint(-1)),
    "length less than a record takes": record(length=encode_varint(5)),
    "length of one byte too much": record(length=encode_varint(7)) + b"\0",
    "length that never ends": record(length=b"\xff" * 12),
    "length beyond 32 bits": record(length=b"\xff\xff\xff\xff\x7f"),
    "length of 2 GiB": record(length=encode_varint(2**31 - 1)),
    "time that never ends": record(timestamp=b"\xff" * 11),
    "time beyond 64 bits": record(timestamp=b"\xff" * 9 + b"\x02"),
    "offset below the base": record(offset=encode_varint(-1)),
    "offset beyond the last": record(offset=encode_varint(1)),
    "offset beyond 32 bits": record(offset=b"\x80\x80\x80\x80\x10"),
    "key beyond the record": record(key=encode_varint(60)),
    "key of 2 GiB": record(key=encode_varint(2**31 - 1)),
    "key size of -2": record(key=encode_varint(-2)),
    "key size of -2 GiB": record(key=encode_varint(-(2**31))),
    "value beyond the record": record(value=encode_varint(2)),
    "value size of -2": record(value=encode_varint(-2)),
    "header count below zero": record(headers=encode_varint(-1)),
    "header count beyond the record": record(headers=encode_varint(1)),
    "header count of 2 G": record(headers=encode_varint(2**31 - 1)),
    "header without a name": record(headers=b"\2", more=b"\1\1"),
    "header name beyond the record": record(headers=b"\2", more=b"\x08ab"),
    "header value beyond the record": record(headers=b"\2", more=b"\2a\x04b"),
    "header value size of -2": record(headers=b"\2", more=b"\2a\3"),
    "bytes after the headers": record(more=b"\0"),
    "bytes after the last record": record() + b"\0" * 7,
}


@BOTH
@pytest.mark.parametrize("lie", LIES)
def test_a_number_that_lies_is_corrupt_and_names_the_record(kernel: Any, lie: str) -> None:
    blamed = 1 if lie == "bytes after the last record" else 0
    assert outcome(kernel, sealed(LIES[lie])) == (CorruptBatch, 0, blamed)


@BOTH
def test_what_a_number_may_be_at_the_most_is_read(kernel: Any) -> None:
    smallest = b"\xff" * 9 + b"\x01"  # a time difference of -2**63, in ten bytes
    wasteful = b"\x80\x80\x80\x80\x00"  # zero, in five bytes
    assert outcome(kernel, sealed(record(timestamp=smallest))) == ([(-(2**63), None, None, [])], [0])
    assert outcome(kernel, sealed(record(offset=wasteful, key=wasteful))) == ([(0, b"", None, [])], [0])
    assert outcome(kernel, sealed(record(offset=encode_varint(2**31 - 1)), last_delta=2**31 - 1))[1] == [2**31 - 1]


@BOTH
@pytest.mark.parametrize("offsets", [[0, 0], [1, 0], [0, 2, 1]])
def test_offsets_must_rise(kernel: Any, offsets: list[int]) -> None:
    section = b"".join(record(offset=encode_varint(offset)) for offset in offsets)
    assert outcome(kernel, sealed(section, len(offsets), 5)) == (CorruptBatch, 0, len(offsets) - 1)


@BOTH
def test_every_cut_of_the_records_is_refused(kernel: Any) -> None:
    whole = codec.encode_batch(some(5))
    for end in range(HEADER_BYTES, len(whole)):
        with using(kernel), pytest.raises(CorruptBatch):
            cut = sealed(bytes(whole[HEADER_BYTES:end]), 5)
            codec.decode_batch(cut, read_header(cut))


@BOTH
def test_a_batch_cut_short_is_refused_even_unchecked(kernel: Any) -> None:
    batch = codec.encode_batch(some(5))
    with using(kernel), pytest.raises(CorruptBatch, match="cut short"):
        codec.decode_batch(batch[:-1], read_header(batch), check=False)


@given(columns(least=1, most=5), st.data())
@settings(max_examples=300, deadline=None)
def test_mutations_are_accepted_and_refused_by_both_kernels_alike(records: RecordColumns, data: st.DataObject) -> None:
    batch = codec.encode_batch(records)
    positions = st.integers(HEADER_BYTES, len(batch) - 1)
    letters = st.sampled_from([0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF]) | st.integers(0, 255)
    for position, letter in data.draw(st.lists(st.tuples(positions, letters), min_size=1, max_size=4)):
        batch[position] = letter
    outcomes = [outcome(kernel, batch) for kernel in KERNELS]
    assert all(found == outcomes[0] for found in outcomes)


@given(st.binary(max_size=80), st.integers(0, 8), st.integers(0, 2**31 - 1))
@settings(max_examples=300, deadline=None)
def test_random_sections_are_accepted_and_refused_by_both_kernels_alike(section: bytes, count: int, more: int) -> None:
    batch = sealed(section, count, min(count + more, 2**31 - 1))
    outcomes = [outcome(kernel, batch) for kernel in KERNELS]
    assert all(found == outcomes[0] for found in outcomes)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_thousand_mutations_are_judged_alike() -> None:
    dice = random.Random(11)
    refused = 0
    headers = ((), (("h", b"x"),), (("h", None), ("second", b"y" * 70)))
    for _ in range(50_000):
        plain = some(dice.randrange(1, 6))
        records = RecordColumns(plain.values, plain.timestamps, plain.keys, common_headers=dice.choice(headers))
        batch = codec.encode_batch(records)
        for _ in range(dice.randrange(1, 4)):
            batch[dice.randrange(HEADER_BYTES, len(batch))] = dice.choice([0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)])
        outcomes = [outcome(kernel, batch) for kernel in KERNELS]
        assert all(found == outcomes[0] for found in outcomes), bytes(batch)
        refused += outcomes[0][0] is CorruptBatch
    assert 5_000 < refused < 45_000


@BOTH
def test_a_count_that_the_bytes_cannot_hold_takes_no_memory(kernel: Any) -> None:
    batch = codec.encode_batch(some())
    struct.pack_into(">i", batch, 57, 2**31 - 1)
    struct.pack_into(">i", batch, 23, 2**31 - 2)
    with using(kernel), pytest.raises(CorruptBatch, match="says 2147483647 records"):
        codec.decode_batch(batch, read_header(batch), check=False)


@BOTH
def test_many_headers_of_one_record_are_read_in_reasonable_time(kernel: Any) -> None:
    count = 200_000
    section = record(headers=encode_varint(count), more=b"\0\1" * count)
    with using(kernel):
        batch = sealed(section)
        found = codec.decode_batch(batch, read_header(batch))
    assert len(found.headers[0]) == count


@BOTH
def test_records_beyond_the_bound_are_too_large_also_when_not_compressed(kernel: Any) -> None:
    batch = codec.encode_batch(RecordColumns(pa.array([bytes(5000)]), np.zeros(1, np.int64)))
    with using(kernel), pytest.raises(TooLarge) as caught:
        codec.decode_batch(batch, read_header(batch), max_bytes=1000)
    assert caught.value.facts == {"position": 0, "max_bytes": 1000}
