"""Columns <-> batches: the compiled kernel against its twin, and both against what went in."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire.record_columns import columns, rows

from ingest.errors import CorruptBatch, TooLarge, WireError
from ingest.wire import codec, codec_numpy
from ingest.wire.batch import HEADER_BYTES, check_crc, place, read_header, seal, stamp_log_append_time, whole_batches
from ingest.wire.columns import HEADERS, RecordColumns
from ingest.wire.compression import CODECS

KERNELS: list[Any] = [codec_numpy]
try:
    from ingest.wire import codec_compiled

    KERNELS.append(codec_compiled)
except ImportError:
    pass


def simple(count: int = 3) -> RecordColumns:
    return RecordColumns(
        pa.array([f"value {number}".encode() for number in range(count)], pa.binary()),
        np.arange(count, dtype=np.int64) + 1_770_000_000_000,
        pa.array([None if number % 2 else b"k" for number in range(count)], pa.binary()),
    )


def decoded(kernel: Any, batch: Any, **options: Any) -> list[tuple[Any, ...]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "kernel", kernel)
        header = read_header(batch)
        return rows(codec.decode_batch(batch, header, **options))


@given(columns(), st.integers(80, 2000), st.sampled_from(CODECS))
@settings(max_examples=300, deadline=None)
def test_both_kernels_write_the_same_bytes_and_read_back_what_went_in(
    records: RecordColumns, limit: int, compression: str
) -> None:
    written = []
    for kernel in KERNELS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(codec, "kernel", kernel)
            try:
                written.append(
                    codec.encode_batches(records, max_batch_bytes=limit, compression=compression, base_offset=7)
                )
            except TooLarge as error:
                written.append(("too large", error.facts["row"]))
    assert all(batches == written[0] for batches in written)
    if isinstance(written[0], list):
        for kernel in KERNELS:
            found = [row for batch in written[0] for row in decoded(kernel, batch)]
            assert found == rows(records)
        ends = [header.next_offset for batch in written[0] for _, header in whole_batches(batch)]
        assert not len(records) or ends[-1] == 7 + len(records)


@pytest.mark.parametrize("kernel", KERNELS)
def test_offsets_come_back_with_the_base_offset(kernel: Any) -> None:
    batch = codec.encode_batch(simple(), base_offset=100)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "kernel", kernel)
        found = codec.decode_batch(batch, read_header(batch))
    assert found.offsets is not None
    assert found.offsets.tolist() == [100, 101, 102]


def test_no_batch_is_larger_than_its_limit_and_each_is_as_full_as_it_can_be() -> None:
    records = simple(2000)
    batches = codec.encode_batches(records, max_batch_bytes=1000)
    assert max(map(len, batches)) <= 1000
    one_more = len(codec.encode_batches(simple(1), max_batch_bytes=1000)[0]) - HEADER_BYTES + 8
    assert min(map(len, batches[:-1])) > 1000 - one_more


def test_sequences_continue_from_batch_to_batch_and_wrap() -> None:
    batches = codec.encode_batches(
        simple(100), max_batch_bytes=500, producer_id=5, producer_epoch=1, base_sequence=2**31 - 10
    )
    headers = [read_header(batch) for batch in batches]
    for before, after in itertools.pairwise(headers):
        assert after.base_sequence == (before.last_sequence + 1) % 2**31


def test_a_record_larger_than_the_limit_is_named() -> None:
    records = RecordColumns(pa.array([b"a", b"b" * 500]), np.zeros(2, np.int64))
    with pytest.raises(TooLarge) as caught:
        codec.encode_batches(records, max_batch_bytes=200)
    assert caught.value.facts["row"] == 1


def test_log_append_time_replaces_every_timestamp() -> None:
    batch = codec.encode_batch(simple())
    stamp_log_append_time(batch, 0, 42)
    check_crc(batch, read_header(batch))
    assert [row[0] for row in decoded(codec.kernel, batch)] == [42, 42, 42]


def test_placing_a_batch_keeps_its_crc() -> None:
    batch = codec.encode_batch(simple())
    place(batch, 0, 2**40, 7)
    header = read_header(batch)
    check_crc(batch, header)
    assert (header.base_offset, header.leader_epoch) == (2**40, 7)


def test_a_delete_horizon_stands_in_the_base_timestamp() -> None:
    batch = codec.encode_batch(simple(), delete_horizon_ms=99)
    assert read_header(batch).delete_horizon_ms == 99


@pytest.mark.parametrize("position", range(61 + 60))
def test_no_flipped_byte_passes_the_check(position: int) -> None:
    whole = codec.encode_batch(simple(8), producer_id=3, producer_epoch=0, base_sequence=0)
    damaged = bytearray(whole)
    damaged[position] ^= 0x40
    if position < 8 or 12 <= position < 16:  # base offset and leader epoch are set by the log: no CRC covers them
        return
    with pytest.raises(CorruptBatch):
        header = read_header(damaged)
        check_crc(damaged, header)


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_cut_of_the_records_is_refused(kernel: Any) -> None:
    whole = codec.encode_batch(simple(5))
    for end in range(HEADER_BYTES, len(whole)):
        cut = bytearray(whole[:end])
        cut[8:12] = (end - 12).to_bytes(4, "big")
        seal(cut, 0, end)
        with pytest.raises(CorruptBatch):
            decoded(kernel, cut)


def test_hostile_records_are_accepted_and_refused_by_both_kernels_alike() -> None:
    dice = random.Random(11)
    header = {"key": "h", "value": b"x"}
    accepted = refused = 0
    for _ in range(4000):
        count = dice.randrange(1, 5)
        records = simple(count)
        if dice.random() < 0.5:
            records = RecordColumns(
                records.values, records.timestamps, records.keys, pa.array([[header]] * count, HEADERS)
            )
        batch = codec.encode_batch(records)
        for _ in range(dice.randrange(1, 4)):
            batch[dice.randrange(HEADER_BYTES, len(batch))] = dice.choice([0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)])
        outcomes = []
        for kernel in KERNELS:
            try:
                outcomes.append(decoded(kernel, batch, check=False))
            except WireError as error:
                outcomes.append([(type(error), error.facts.get("record"))])
        assert all(outcome == outcomes[0] for outcome in outcomes), bytes(batch)
        accepted += len(outcomes[0][0]) == 4
        refused += len(outcomes[0][0]) == 2
    assert accepted
    assert refused


def test_a_count_that_the_bytes_cannot_hold_takes_no_memory() -> None:
    batch = codec.encode_batch(simple())
    batch[57:61] = (2**31 - 1).to_bytes(4, "big")
    batch[23:27] = (2**31 - 2).to_bytes(4, "big")
    with pytest.raises(CorruptBatch, match="says 2147483647 records"):
        codec.decode_batch(batch, read_header(batch), check=False)


@pytest.mark.parametrize("compression", CODECS[1:])
def test_a_decompression_bomb_is_refused_before_it_takes_memory(compression: str) -> None:
    import tracemalloc

    bomb = codec.encode_batch(
        RecordColumns(pa.array([bytes(64 << 20)]), np.zeros(1, np.int64)), compression=compression
    )
    assert len(bomb) < 8 << 20
    tracemalloc.start()
    with pytest.raises(TooLarge):
        codec.decode_batch(bomb, read_header(bomb), max_bytes=1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 << 20


@pytest.mark.parametrize("compression", CODECS[1:])
def test_damaged_compressed_data_is_corrupt_or_read_but_never_a_crash(compression: str) -> None:
    dice = random.Random(5)
    whole = codec.encode_batch(simple(200), compression=compression)
    for _ in range(400):
        batch = bytearray(whole)
        batch[dice.randrange(HEADER_BYTES, len(batch))] ^= 1 << dice.randrange(8)
        try:
            codec.decode_batch(batch, read_header(batch), check=False)
        except WireError:
            continue
