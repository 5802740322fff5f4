"""Against two codecs that we did not write: aiokafka's and kafka-python's."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatch as AioBatch
from aiokafka.record.default_records import DefaultRecordBatchBuilder as AioBuilder
from hypothesis import given, settings
from record_columns import KERNELS, TIMES, columns, rows, using

from ingest.wire import codec
from ingest.wire.batch import read_header
from ingest.wire.columns import RecordColumns

with warnings.catch_warnings():  # of its own imports
    warnings.simplefilter("ignore")
    from kafka.record.default_records import DefaultRecordBatch as PythonBatch
    from kafka.record.default_records import DefaultRecordBatchBuilder as PythonBuilder

NUMBERS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def theirs(batch: Any) -> list[tuple[Any, ...]]:
    assert batch.validate_crc()
    return [
        (record.timestamp, record.key, record.value, [(name, value) for name, value in record.headers])
        for record in batch
    ]


@pytest.mark.parametrize("foreign", [AioBatch, PythonBatch])
@pytest.mark.parametrize("compression", NUMBERS)
@given(records=columns(least=1, most=20, times=TIMES))
@settings(max_examples=20, deadline=None)
def test_they_read_what_we_write(foreign: Any, compression: str, records: RecordColumns) -> None:
    batch = codec.encode_batch(records, compression=compression)
    assert theirs(foreign(bytes(batch))) == rows(records)


@pytest.mark.parametrize("builder", [AioBuilder, PythonBuilder])
@pytest.mark.parametrize("compression", NUMBERS)
@given(records=columns(least=1, most=20, times=TIMES))
@settings(max_examples=20, deadline=None)
def test_we_read_what_they_write(builder: Any, compression: str, records: RecordColumns) -> None:
    made = builder(2, NUMBERS[compression], 1, 9, 2, 5, 1 << 20)
    for offset, (timestamp, key, value, headers) in enumerate(rows(records)):
        assert made.append(offset, timestamp, key, value, headers) is not None
    batch = bytes(made.build())
    header = read_header(batch)
    found = codec.decode_batch(batch, header)
    assert rows(found) == rows(records)
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (9, 2, 5)
    assert header.is_transactional


@pytest.mark.parametrize(("builder", "leader_epoch"), [(AioBuilder, -1), (PythonBuilder, 0)])
@pytest.mark.parametrize("kernel", KERNELS)
@given(records=columns(least=1, most=20, times=TIMES))
@settings(max_examples=30, deadline=None)
def test_our_bytes_are_theirs(builder: Any, leader_epoch: int, kernel: Any, records: RecordColumns) -> None:
    made = builder(2, 0, 1, 9, 2, 5, 1 << 20)
    for offset, row in enumerate(rows(records)):
        made.append(offset, *row)
    with using(kernel):
        ours = codec.encode_batch(
            records, producer_id=9, producer_epoch=2, base_sequence=5, transactional=True, leader_epoch=leader_epoch
        )
    assert bytes(made.build()) == bytes(ours)
