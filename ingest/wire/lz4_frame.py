"""LZ4 frames as Kafka's Java client reads them: it refuses frames whose blocks refer to each other.

Arrow's own frames have such blocks from 64 KiB on, so the frame is put together here. Reading takes any frame.

    magic       4   04 22 4d 18
    flags       1   60: version 1, blocks independent, no checksums, no size
    block size  1   40: at most 64 KiB each
    checksum    1   82: of the two bytes before
    blocks          each: size (4, little endian; the highest bit: not compressed), a raw LZ4 block
    end         4   00 00 00 00
"""

from __future__ import annotations

import struct
from typing import Any

_HEADER = bytes.fromhex("04224d18604082")
_SIZE = struct.Struct("<I")
_STORED = 1 << 31
_BLOCK_BYTES = 64 * 1024


def compress_lz4(data: Any, level: int | None) -> bytes:
    """One frame."""
    import pyarrow as pa

    codec, view = pa.Codec("lz4_raw", compression_level=level), memoryview(data)
    out = bytearray(_HEADER)
    for start in range(0, len(view), _BLOCK_BYTES):
        piece = view[start : start + _BLOCK_BYTES]
        block = codec.compress(piece, asbytes=True)
        shrunk = len(block) < len(piece)
        out += _SIZE.pack(len(block) if shrunk else len(piece) | _STORED)
        out += block if shrunk else piece
    return bytes(out + _SIZE.pack(0))
