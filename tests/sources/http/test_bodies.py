"""Bodies decompressed: what clients meant, at a price that grows with the body and not with its square."""

from __future__ import annotations

import gzip
import os
import sys
import time
from collections.abc import Callable

import pytest

from ingest.sources.http.bodies import decoded
from ingest.sources.http.refused import Refused

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b"".join(b'{"n": %d}\n' % number for number in range(20_000))


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
@pytest.mark.parametrize("size", [500, 1_000, 70_000, len(TEXT)])
def test_members_of_any_size_are_one_body(coding: str, pack: Callable[[bytes], bytes], size: int) -> None:
    members = [pack(TEXT[at : at + size]) for at in range(0, len(TEXT), size)][:300]
    assert decoded(b"".join(members), coding, len(TEXT)) == TEXT[: 300 * size]


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_many_members_are_not_copied_as_often_as_there_are(coding: str, pack: Callable[[bytes], bytes]) -> None:
    rest = os.urandom(12 * 2**20)
    body = pack(b"") * 9_000 + pack(rest)
    begun = time.process_time()
    assert decoded(body, coding, 2**24) == rest
    assert time.process_time() - begun < 6


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_a_body_of_nothing_but_empty_members_is_refused(coding: str, pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Refused, match="more than 10000 parts") as refused:
        decoded(pack(b"") * 100_000, coding, 2**20)
    assert refused.value.status == 400
