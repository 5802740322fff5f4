"""Columns get a dictionary where it pays, and are read the same either way."""

from __future__ import annotations

import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.sinks.parquet.dictionaries import columns_with_dictionaries

COUNT = 20_000


def chosen(**columns: Any) -> list[str]:
    return columns_with_dictionaries(pa.table(columns))


@pytest.mark.parametrize(
    ("column", "repeats"),
    [
        (pa.array(np.arange(COUNT)), False),
        (pa.array(np.arange(COUNT) // 100), True),
        (pa.array(np.arange(COUNT) % 1000), True),
        (pa.array(np.random.default_rng(1).random(COUNT)), False),
        (pa.array([f"comment {number}" for number in range(COUNT)]), False),
        (pa.array([f"word {number % 50}" for number in range(COUNT)]), True),
        (pa.array([decimal.Decimal(number) for number in range(COUNT)]), False),
        (pa.array([None] * COUNT, pa.int64()), True),
        (pa.array([number if number % 4 == 0 else None for number in range(COUNT)]), False),
        (pa.array(np.arange(100)), True),
        (pa.array([], pa.string()), True),
    ],
)
def test_values_that_hardly_repeat_have_no_dictionary(column: pa.Array, repeats: bool) -> None:
    assert chosen(a=column) == (["a"] if repeats else [])


def test_the_paths_are_those_of_the_file(tmp_path: Any) -> None:
    nested = {
        "s": pa.array([{"a": 1, "b": {"c": "x"}}]),
        "l": pa.array([[1, 2]]),
        "big": pa.array([[1, 2]], pa.large_list(pa.int64())),
        "fixed": pa.array([[1, 2]], pa.list_(pa.int64(), 2)),
        "m": pa.array([[("k", [{"v": 1}])]], pa.map_(pa.string(), pa.list_(pa.struct([("v", pa.int64())])))),
        "plain": pa.array(["x"]),
        "coded": pa.array(["x"]).dictionary_encode(),
    }
    table = pa.table(nested)
    pq.write_table(table, tmp_path / "x.parquet", use_dictionary=columns_with_dictionaries(table))
    group = pq.ParquetFile(tmp_path / "x.parquet").metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    assert [column.path_in_schema for column in columns] == columns_with_dictionaries(table)
    assert all("RLE_DICTIONARY" in column.encodings for column in columns)
