"""Snappy in the framing of Xerial's Java library: what Kafka calls snappy.

    magic      8   82 53 4e 41 50 50 59 00
    version    4   1
    compatible 4   1
    blocks         each: size (4, big endian), a raw snappy block

Some clients write one raw block instead; both are read.
"""

from __future__ import annotations

import struct
from typing import Any

from ingest.errors import TooLarge

_MAGIC = b"\x82SNAPPY\x00"
_HEADER = _MAGIC + struct.pack(">ii", 1, 1)
_SIZE = struct.Struct(">i")
_BLOCK_BYTES = 32 * 1024  # what the Java library cuts
_BEST_RATIO = 22  # a copy of 64 bytes takes 3: whoever says more lies


def compress_snappy(data: Any) -> bytes:
    """Always framed."""
    import pyarrow as pa

    codec, view = pa.Codec("snappy"), memoryview(data)
    parts = [_HEADER]
    for start in range(0, len(view), _BLOCK_BYTES):
        block = codec.compress(view[start : start + _BLOCK_BYTES], asbytes=True)
        parts += (_SIZE.pack(len(block)), block)
    return b"".join(parts)


def decompress_snappy(data: memoryview, max_bytes: int) -> bytes:
    """Framed or raw; raises ``ValueError`` for neither, and ``TooLarge`` before it takes more than ``max_bytes``."""
    if data[: len(_MAGIC)] != _MAGIC:
        return _block(data, max_bytes)
    if len(data) < len(_HEADER):
        raise ValueError("the data ends within the frame's header")
    out, at = bytearray(), len(_HEADER)
    while at < len(data):
        if len(data) - at < _SIZE.size:
            raise ValueError("the data ends within the size of a block")
        size = _SIZE.unpack_from(data, at)[0]
        at += _SIZE.size
        if not 0 <= size <= len(data) - at:
            raise ValueError("the data ends within a block")
        out += _block(data[at : at + size], max_bytes - len(out))
        at += size
    return bytes(out)


def _block(block: memoryview, max_bytes: int) -> bytes:
    """A block says its size at the front: it is believed only within what its bytes can make, and the bound."""
    import pyarrow as pa

    size = shift = 0
    for byte in block[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if size > _BEST_RATIO * len(block):
        raise ValueError("a block that says more than its bytes can hold")
    if size > max_bytes:
        raise TooLarge(f"snappy data decompresses to more than {max_bytes} bytes", max_bytes=max_bytes)
    return bytes(pa.Codec("snappy").decompress(block, decompressed_size=size, asbytes=True))
