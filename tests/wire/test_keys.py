"""Which partition a key belongs to: vectors of Kafka's own tests."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_columns import KERNELS, using

from ingest.wire import keys as partitioner
from ingest.wire.keys import murmur2, partition_of

with warnings.catch_warnings():  # of its own imports
    warnings.simplefilter("ignore")
    from kafka.partitioner.default import murmur2 as kafka_python_murmur2

KAFKAS_VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_keys_hash_as_kafka_hashes_them(kernel: Any) -> None:
    found = kernel.murmur2(pa.array(list(KAFKAS_VECTORS)))
    assert found.tolist() == list(KAFKAS_VECTORS.values())


KINDS = st.sampled_from([pa.binary(), pa.large_binary()])


@given(keys=st.lists(st.binary(max_size=20), max_size=30), skipped=st.integers(0, 3), kind=KINDS)
def test_both_kernels_hash_as_a_foreign_client_does(keys: list[bytes], skipped: int, kind: pa.DataType) -> None:
    array = pa.array([b"skipped"] * skipped + keys, kind)[skipped:]
    for kernel in KERNELS:
        found = kernel.murmur2(array).astype(np.uint32)
        assert found.tolist() == [kafka_python_murmur2(key) & 0xFFFFFFFF for key in keys]


def test_one_key_hashes_as_in_an_array() -> None:
    assert [murmur2(key) for key in KAFKAS_VECTORS] == list(KAFKAS_VECTORS.values())


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.string()])
def test_partitions_are_within_bounds_and_use_the_positive_hash(
    kernel: Any, kind: pa.DataType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitioner, "kernel", kernel)
    keys = pa.array(list(KAFKAS_VECTORS), pa.binary()).cast(kind)
    expected = [(value & 0x7FFFFFFF) % 7 for value in KAFKAS_VECTORS.values()]
    assert partition_of(keys, 7).tolist() == expected
    assert partition_of(keys[2:4], 7).tolist() == expected[2:4]


def test_a_null_key_hashes_as_an_empty_one_whatever_hides_behind_it() -> None:
    offsets = pa.py_buffer(np.array([0, 6, 6], np.int32))
    hidden = pa.Array.from_buffers(pa.binary(), 2, [pa.py_buffer(b"\x02"), offsets, pa.py_buffer(b"hidden")])
    empty, other = partition_of(hidden, 1_000_000).tolist()
    assert empty == other == partition_of(pa.array([b""]), 1_000_000)[0]


@pytest.mark.parametrize("partitions", [0, -1, 2**31])
def test_a_number_of_partitions_that_cannot_be_is_refused(partitions: int) -> None:
    with using(KERNELS[0]), pytest.raises(ValueError, match="partitions"):
        partition_of(pa.array([b"k"]), partitions)
