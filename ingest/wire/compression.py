"""The five codecs of record batches, with a bound on what comes out.

gzip (RFC 1952), snappy in Xerial's framing (and raw, as some clients write it), LZ4 frames, Zstandard frames.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from ingest.errors import CorruptBatch, TooLarge, UnsupportedBatch

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER = _XERIAL + struct.pack(">ii", 1, 1)
_XERIAL_BLOCK_BYTES = 32 * 1024
_STEP_BYTES = 1024 * 1024


def compress(codec: str, data: Any, level: int | None = None) -> bytes:
    """``data`` in the frame that Kafka clients expect; raises ``UnsupportedBatch`` for an unknown codec."""
    if codec == "none":
        return bytes(data)
    if codec == "gzip":
        compressor = zlib.compressobj(6 if level is None else level, zlib.DEFLATED, 31)
        return compressor.compress(data) + compressor.flush()
    if codec == "snappy":
        return _compress_snappy(data)
    if codec in ("lz4", "zstd"):
        import pyarrow as pa

        found = pa.Codec(codec, compression_level=level if codec == "zstd" else None)
        return bytes(found.compress(data, asbytes=True))
    raise UnsupportedBatch(f"unknown compression codec {codec}", hint=f"known: {', '.join(CODECS)}")


def decompress(codec: str, data: Any, max_bytes: int) -> Any:
    """What ``data`` holds; raises ``TooLarge`` before more than about ``max_bytes`` are taken, ``CorruptBatch`` if it
    is not what ``codec`` makes."""
    if codec == "none":
        return data
    try:
        if codec == "gzip":
            return _decompress_gzip(data, max_bytes)
        if codec == "snappy":
            return _decompress_snappy(memoryview(data), max_bytes)
        if codec in ("lz4", "zstd"):
            return _decompress_stream(codec, data, max_bytes)
    except (OSError, ValueError, zlib.error, EOFError, struct.error) as error:
        raise CorruptBatch(f"{codec} data cannot be decompressed: {error}") from error
    raise UnsupportedBatch(f"unknown compression codec {codec}", hint=f"known: {', '.join(CODECS)}")


def _too_large(codec: str, max_bytes: int) -> TooLarge:
    return TooLarge(f"{codec} data decompresses to more than {max_bytes} bytes", max_bytes=max_bytes)


def _decompress_gzip(data: Any, max_bytes: int) -> bytes:
    """All members; each may be followed by another."""
    out, rest = bytearray(), bytes(data)
    while rest:
        member = zlib.decompressobj(31)
        out += member.decompress(rest, max_bytes + 1 - len(out))
        if len(out) > max_bytes or member.unconsumed_tail:
            raise _too_large("gzip", max_bytes)
        out += member.flush()
        if not member.eof:
            raise EOFError("the data ends within a gzip member")
        rest = member.unused_data
    return bytes(out)


def _decompress_stream(codec: str, data: Any, max_bytes: int) -> bytes:
    import pyarrow as pa

    out = io.BytesIO()
    with pa.CompressedInputStream(pa.BufferReader(data), codec) as stream:
        while True:
            step = stream.read(min(_STEP_BYTES, max_bytes + 1 - out.tell()))
            if not step:
                return out.getvalue()
            out.write(step)
            if out.tell() > max_bytes:
                raise _too_large(codec, max_bytes)


def _compress_snappy(data: Any) -> bytes:
    import pyarrow as pa

    codec, view = pa.Codec("snappy"), memoryview(data)
    parts = [_XERIAL_HEADER]
    for start in range(0, len(view), _XERIAL_BLOCK_BYTES):
        block = codec.compress(view[start : start + _XERIAL_BLOCK_BYTES], asbytes=True)
        parts += (struct.pack(">i", len(block)), block)
    return b"".join(parts)


def _decompress_snappy(data: memoryview, max_bytes: int) -> bytes:
    if bytes(data[: len(_XERIAL)]) != _XERIAL:
        return _snappy_block(data, max_bytes)
    out, at = bytearray(), len(_XERIAL_HEADER)
    while at < len(data):
        size = struct.unpack_from(">i", data, at)[0]
        if size < 0 or size > len(data) - at - 4:
            raise EOFError("the data ends within a snappy block")
        out += _snappy_block(data[at + 4 : at + 4 + size], max_bytes - len(out))
        at += 4 + size
    return bytes(out)


def _snappy_block(block: memoryview, max_bytes: int) -> bytes:
    """Snappy says the size at the front: it is believed only up to the bound."""
    import pyarrow as pa

    size = shift = 0
    for byte in block[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if size > max_bytes:
        raise _too_large("snappy", max_bytes)
    return bytes(pa.Codec("snappy").decompress(block, decompressed_size=size, asbytes=True))
