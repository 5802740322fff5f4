"""The five codecs of record batches, with a bound on what comes out.

gzip (RFC 1952), snappy in Xerial's framing, LZ4 frames, Zstandard frames. Arrow's codecs do the work, without the GIL.
"""

from __future__ import annotations

import io
from typing import Any

from ingest.errors import CorruptBatch, TooLarge, UnsupportedBatch
from ingest.wire.batch import CODECS
from ingest.wire.lz4_frame import compress_lz4
from ingest.wire.xerial import compress_snappy, decompress_snappy

_STEP_BYTES = 1024 * 1024
_FIRST_STEP_BYTES = 64 * 1024


def compress(codec: str, data: Any, level: int | None = None) -> bytes:
    """``data`` in the frame that Kafka clients expect; raises ``UnsupportedBatch`` for an unknown codec."""
    import pyarrow as pa

    if codec == "none":
        return bytes(data)
    if codec == "snappy":
        return compress_snappy(data)
    if codec == "lz4":
        return compress_lz4(data, level)
    if codec in ("gzip", "zstd"):
        return bytes(pa.Codec(codec, compression_level=level).compress(data, asbytes=True))
    raise _unknown(codec)


def decompress(codec: str, data: Any, max_bytes: int) -> Any:
    """What ``data`` holds: for ``none`` itself, else new bytes.

    Raises ``TooLarge`` before more than about ``max_bytes`` are taken, ``CorruptBatch`` if ``codec`` did not make it.
    (zstd may take a window of up to 128 MiB besides, as its frames ask.)
    """
    if codec == "none":
        return data
    if codec not in CODECS:
        raise _unknown(codec)
    try:
        if codec == "snappy":
            return decompress_snappy(memoryview(data), max_bytes)
        return _decompress_stream(codec, data, max_bytes)
    except (OSError, ValueError) as error:
        raise CorruptBatch(f"{codec} data cannot be decompressed: {error}") from error


def _decompress_stream(codec: str, data: Any, max_bytes: int) -> bytes:
    """Step by step, so that a bomb is found out after ``max_bytes``; several frames may follow each other."""
    import pyarrow as pa

    if not len(data):
        raise ValueError("no data")
    out, step = io.BytesIO(), _FIRST_STEP_BYTES
    with pa.CompressedInputStream(pa.BufferReader(data), codec) as stream:
        while part := stream.read(min(step, max_bytes + 1 - out.tell())):
            out.write(part)
            if out.tell() > max_bytes:
                raise TooLarge(f"{codec} data decompresses to more than {max_bytes} bytes", max_bytes=max_bytes)
            step = _STEP_BYTES
    return out.getvalue()


def _unknown(codec: str) -> UnsupportedBatch:
    return UnsupportedBatch(f"unknown compression codec {codec}", hint=f"known: {', '.join(CODECS)}")
