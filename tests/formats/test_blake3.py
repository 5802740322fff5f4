"""Digests as everybody else's BLAKE3 has them, compiled and in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats.blake3_twin import digests as of_twin

try:
    from ingest.formats._blake3 import digests as compiled
except ImportError:  # no compiler: the twin is all there is
    compiled = of_twin

LENGTHS = [0, 1, 63, 64, 65, 127, 128, 1023, 1024, 1025, 2048, 2049, 3072, 4096, 5121, 7 * 1024, 8193, 31744, 102400]


def laid_out(texts: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    ends = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    return np.frombuffer(b"".join(texts), np.uint8), ends


def judged(texts: list[bytes]) -> list[bytes]:
    """By DataFusion, which has the Rust crate of BLAKE3's authors."""
    from datafusion import SessionConfig, SessionContext, col
    from datafusion import functions as f

    session = SessionContext(SessionConfig().with_target_partitions(1))
    frame = session.create_dataframe([[pa.RecordBatch.from_arrays([pa.array(texts, pa.binary())], ["t"])]], "texts")
    batches = frame.select(f.digest(col("t"), "blake3").alias("d")).collect()
    return [digest[:16] for batch in batches for digest in batch.column(0).to_pylist()]


@pytest.mark.parametrize("digests", [compiled, of_twin], ids=["compiled", "twin"])
def test_texts_of_all_lengths_have_the_digests_of_its_authors(digests: Any) -> None:
    texts = [bytes(place * 7 % 251 for place in range(length)) for length in LENGTHS]
    assert [bytes(digest) for digest in digests(*laid_out(texts))] == judged(texts)


def test_a_known_digest() -> None:
    """Of the empty text, as the paper has it."""
    assert bytes(compiled(*laid_out([b""]))[0]).hex() == "af1349b9f5f9a1a6a0404dea36dcc949"


@given(st.lists(st.binary(max_size=200) | st.integers(0, 9000).map(lambda size: b"\xa7" * size), max_size=20))
def test_the_kernel_gives_what_its_twin_gives(texts: list[bytes]) -> None:
    assert compiled(*laid_out(texts)).tolist() == of_twin(*laid_out(texts)).tolist()
