"""Columns <-> batches: the compiled kernel against its twin, and both against what went in."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from needs import needs
from record_columns import KERNELS, columns, rows, some, using

from ingest.errors import TooLarge, UnsupportedBatch
from ingest.wire import codec
from ingest.wire.batch import CODECS, HEADER_BYTES, read_header, whole_batches
from ingest.wire.columns import HEADERS, RecordColumns

BOTH = pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.__name__.rpartition(".")[2])


def decoded(batch: Any, **options: Any) -> RecordColumns:
    return codec.decode_batch(batch, read_header(batch), **options)


def test_the_compiled_kernel_is_here() -> None:
    needs(len(KERNELS) == 2, "compiled kernels")


@given(columns(), st.integers(80, 2000), st.sampled_from(CODECS))
@settings(max_examples=200, deadline=None)
def test_both_kernels_write_the_same_bytes_and_read_back_what_went_in(
    records: RecordColumns, limit: int, compression: str
) -> None:
    written: list[Any] = []
    for kernel in KERNELS:
        with using(kernel):
            try:
                written.append(
                    codec.encode_batches(records, max_batch_bytes=limit, compression=compression, base_offset=7)
                )
            except TooLarge as error:
                written.append(("too large", error.facts["row"]))
    assert all(batches == written[0] for batches in written)
    if isinstance(written[0], list):
        for kernel in KERNELS:
            with using(kernel):
                assert [row for batch in written[0] for row in rows(decoded(batch))] == rows(records)
        ends = [header.next_offset for batch in written[0] for _, header in whole_batches(batch)]
        assert not len(records) or ends[-1] == 7 + len(records)


@BOTH
@given(
    records=columns(), gaps=st.lists(st.integers(1, 2**20), min_size=30, max_size=30), horizon=st.none() | st.just(9)
)
@settings(max_examples=50, deadline=None)
def test_a_cleaned_batch_keeps_its_offsets_and_times(
    kernel: Any, records: RecordColumns, gaps: list[int], horizon: int | None
) -> None:
    offsets = 1000 + np.cumsum(np.array(gaps[: len(records)], np.int64))
    cleaned = RecordColumns(
        values=records.values,
        keys=records.keys,
        timestamps=records.timestamps,
        headers=records.headers,
        common_headers=records.common_headers,
        offsets=offsets,
    )
    with using(kernel):
        batch = codec.encode_batch(
            cleaned, base_offset=1000, last_offset_delta=2**30, base_sequence=5, delete_horizon_ms=horizon
        )
        header, found = read_header(batch), decoded(batch)
    assert found.offsets is not None
    assert found.offsets.tolist() == offsets.tolist()
    assert rows(found) == rows(records)
    assert (header.last_offset_delta, header.base_sequence, header.delete_horizon_ms) == (2**30, 5, horizon)


@BOTH
def test_decoded_arrays_are_valid_arrow(kernel: Any) -> None:
    headers = pa.array([[("a", None), ("b", b"1")], [], None], HEADERS)
    records = RecordColumns(pa.array([None, b"", b"x"]), np.arange(3), pa.array([b"k", None, b""]), headers)
    with using(kernel):
        found = decoded(codec.encode_batch(records))
    for column in (found.values, found.keys, found.headers):
        column.validate(full=True)
    assert found.values.type == found.keys.type == pa.binary()
    assert found.headers.type == HEADERS
    assert found.offsets is not None
    assert found.offsets.tolist() == [0, 1, 2]


@BOTH
def test_headers_that_nobody_wants_are_checked_and_left_out(kernel: Any) -> None:
    records = RecordColumns(pa.array([b"x"]), np.zeros(1, np.int64), common_headers=(("h", b"1"),))
    with using(kernel):
        assert decoded(codec.encode_batch(records), want_headers=False).headers is None


@BOTH
def test_header_names_that_are_no_text_are_shown_with_replacements(kernel: Any) -> None:
    batch = codec.encode_batch(RecordColumns(pa.array([b"x"]), np.zeros(1, np.int64), common_headers=(("hh", b"1"),)))
    at = batch.index(b"hh")
    batch[at : at + 2] = b"h\xff"
    with using(kernel):
        found = decoded(batch, check=False)
    assert rows(found)[0][3] == [("h\ufffd", b"1")]


@BOTH
def test_no_key_at_all_is_no_column(kernel: Any) -> None:
    with using(kernel):
        assert decoded(codec.encode_batch(RecordColumns(pa.array([b"x", None]), np.zeros(2, np.int64)))).keys is None


@BOTH
@pytest.mark.parametrize("compression", CODECS)
def test_no_records_are_an_empty_batch(kernel: Any, compression: str) -> None:
    with using(kernel):
        batch = codec.encode_batch(some(0), base_offset=5, last_offset_delta=9, compression=compression)
        assert (read_header(batch).record_count, read_header(batch).next_offset) == (0, 15)
        assert len(decoded(batch)) == 0


@BOTH
def test_values_may_be_text_or_chunked_large_or_of_fixed_size(kernel: Any) -> None:
    times = np.zeros(2, np.int64)
    for values in (
        pa.array(["a", "é"]),
        pa.array(["a", "é"], pa.large_string()),
        pa.array(["a", "é"]).dictionary_encode(),
        pa.array(["a", "é"], pa.string_view()),
    ):
        with using(kernel):
            assert decoded(codec.encode_batch(RecordColumns(values, times))).values.to_pylist() == [b"a", "é".encode()]


@BOTH
def test_bytes_that_hide_behind_a_null_are_not_written(kernel: Any) -> None:
    hidden = pa.Array.from_buffers(
        pa.binary(),
        2,
        [pa.py_buffer(b"\x02"), pa.py_buffer(np.array([0, 6, 7], np.int32)), pa.py_buffer(b"secret!")],
    )
    with using(kernel):
        batch = codec.encode_batch(RecordColumns(hidden, np.zeros(2, np.int64), hidden))
        assert b"secret" not in batch
        assert [row[1:3] for row in rows(decoded(batch))] == [(None, None), (b"!", b"!")]


@BOTH
def test_a_slice_of_a_batch_is_decoded_where_it_lies(kernel: Any) -> None:
    batch = codec.encode_batch(some())
    for buffer in (bytes(7) + batch, memoryview(bytes(7) + batch), pa.py_buffer(bytes(7) + batch)):
        with using(kernel):
            assert rows(codec.decode_batch(buffer, read_header(buffer, 7), 7)) == rows(some())


def test_no_batch_is_larger_than_its_limit_and_each_is_as_full_as_it_can_be() -> None:
    records = some(2000)
    whole = codec.encode_batches(records, max_batch_bytes=1000)
    assert max(map(len, whole)) <= 1000
    largest_record = len(codec.encode_batch(some(1))) - HEADER_BYTES + 8
    assert min(map(len, whole[:-1])) > 1000 - largest_record
    exact = len(whole[0])
    assert [
        len(batch) for batch in codec.encode_batches(some(read_header(whole[0]).record_count), max_batch_bytes=exact)
    ] == [exact]


@BOTH
def test_batches_made_one_by_one_keep_to_their_size_but_for_a_record_that_is_larger(kernel: Any) -> None:
    values = [b"a" * 40] * 20 + [b"b" * 700] + [b"c" * 40] * 20
    records = RecordColumns(pa.array(values), np.arange(len(values), dtype=np.int64))
    with using(kernel):
        batches = list(codec.each_batch(records, batch_bytes=400, max_batch_bytes=1000, base_offset=3))
    sizes = [len(batch) for batch in batches]
    assert [size > 400 for size in sizes].count(True) == 1
    assert max(sizes) <= 1000
    assert [row for batch in batches for row in rows(decoded(batch))] == rows(records)
    assert read_header(batches[-1]).next_offset == 3 + len(records)


def test_batch_is_made_when_it_is_asked_for() -> None:
    records = RecordColumns(pa.array([b"a" * 40] * 20 + [b"b" * 700]), np.zeros(21, np.int64))
    batches = codec.each_batch(records, batch_bytes=400, max_batch_bytes=500)
    assert len(next(batches)) <= 400
    with pytest.raises(TooLarge) as caught:
        list(batches)
    assert caught.value.facts["row"] == 20


def test_sequences_and_offsets_continue_from_batch_to_batch() -> None:
    batches = codec.encode_batches(
        some(100), max_batch_bytes=500, base_offset=40, producer_id=5, producer_epoch=1, base_sequence=2**31 - 10
    )
    headers = [read_header(batch) for batch in batches]
    assert len(headers) > 2
    for before, after in itertools.pairwise(headers):
        assert after.base_offset == before.next_offset
        assert after.base_sequence == (before.last_sequence + 1) % 2**31


@BOTH
def test_a_record_larger_than_the_limit_is_named(kernel: Any) -> None:
    records = RecordColumns(pa.array([b"a", b"b" * 500]), np.zeros(2, np.int64))
    with using(kernel), pytest.raises(TooLarge) as caught:
        codec.encode_batches(records, max_batch_bytes=200)
    assert caught.value.facts["row"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"timestamps": np.zeros(1, np.int64)},
        {"keys": pa.array([b"k"])},
        {"headers": pa.array([[]], HEADERS)},
        {"offsets": np.zeros(1, np.int64)},
        {"offsets": np.array([3, 3])},
        {"offsets": np.array([-1, 3])},
        {"offsets": np.array([0, 2**31])},
    ],
    ids=["timestamps", "keys", "headers", "too few offsets", "equal offsets", "a negative offset", "a far offset"],
)
def test_columns_that_do_not_belong_together_are_refused(wrong: dict[str, Any]) -> None:
    columns = {"values": pa.array([b"a", b"b"]), "timestamps": np.zeros(2, np.int64)} | wrong
    with pytest.raises(ValueError, match=r"values and|do not rise"):
        codec.encode_batch(RecordColumns(**columns))


def test_an_unknown_codec_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedBatch, match=r"brotli.*zstd"):
        codec.encode_batch(some(), compression="brotli")


def test_the_twin_runs_where_it_is_asked_for() -> None:
    program = "from ingest.wire import codec; print(codec.kernel.__name__)"
    environment = os.environ | {"INGEST_PURE": "1"}
    found = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "ingest.wire.codec_numpy"


@pytest.mark.slow
@BOTH
def test_more_than_two_gib_of_values_do_not_overflow(kernel: Any) -> None:
    count, size = 2200, 1 << 20
    data = np.zeros(count * size, np.uint8)
    data[-4:] = list(b"last")
    offsets = np.arange(count + 1, dtype=np.int64) * size
    values = pa.Array.from_buffers(pa.large_binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    with using(kernel):
        batches = codec.encode_batches(
            RecordColumns(values, np.zeros(count, np.int64)), max_batch_bytes=64 << 20, compression="lz4"
        )
        assert sum(read_header(batch).record_count for batch in batches) == count
        last = decoded(batches[-1]).values[-1].as_py()
    assert len(last) == size
    assert last.endswith(b"\0last")
