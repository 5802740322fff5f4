"""Against two codecs that we did not write: aiokafka's and kafka-python's."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from aiokafka.record.default_records import DefaultRecordBatch as AioBatch
from aiokafka.record.default_records import DefaultRecordBatchBuilder as AioBuilder
from hypothesis import given, settings
from wire.record_columns import columns, rows

from ingest.wire import codec
from ingest.wire.batch import read_header
from ingest.wire.columns import HEADERS, RecordColumns

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
@given(records=columns(least=1))
@settings(max_examples=40, deadline=None)
def test_they_read_what_we_write(foreign: Any, compression: str, records: RecordColumns) -> None:
    batch = codec.encode_batch(records, compression=compression)
    assert theirs(foreign(bytes(batch))) == rows(records)


@pytest.mark.parametrize("builder", [AioBuilder, PythonBuilder])
@pytest.mark.parametrize("compression", NUMBERS)
@given(records=columns(least=1, most=20))
@settings(max_examples=40, deadline=None)
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


@pytest.mark.parametrize("builder", [AioBuilder, PythonBuilder])
def test_our_bytes_are_theirs(builder: Any) -> None:
    made = builder(2, 0, 0, -1, -1, -1, 1 << 20)
    times = [1_770_000_000_000, 1_770_000_000_100, 1_770_000_000_050]
    header = [("h", b"1"), ("n", None)]
    for offset, timestamp in enumerate(times):
        made.append(offset, timestamp, b"key" if offset else None, b"value" * offset, header)
    records = RecordColumns(
        pa.array([b"", b"value", b"valuevalue"]),
        np.array(times, np.int64),
        pa.array([None, b"key", b"key"], pa.binary()),
        pa.array([[{"key": name, "value": value} for name, value in header]] * 3, HEADERS),
    )
    assert bytes(made.build()) == bytes(codec.encode_batch(records))
