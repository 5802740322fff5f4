"""The content of a compressed block of Avro, within a bound of memory."""

from __future__ import annotations

import bz2
import sys
import zlib
from collections.abc import Callable
from typing import Any

from ingest.sources.files.pieces import Unreadable

MOST_BYTES = 256 * 1024 * 1024
"""A header, or a block, that claims more, or becomes more, is not believed."""


def plain_block(codec: str, content: bytes) -> tuple[str, bytes]:
    """The codec that is left, and the content. Codecs that are not known here are left to fastavro."""
    decompressors: dict[str, Callable[[], Any]] = {
        "deflate": lambda: zlib.decompressobj(-15),
        "bzip2": bz2.BZ2Decompressor,
        "zstandard": lambda: _zstd().ZstdDecompressor(),
    }
    if codec not in decompressors:
        return codec, content
    decompressor = decompressors[codec]()
    try:
        plain: bytes = decompressor.decompress(content, MOST_BYTES)
    except (OSError, EOFError, ValueError, zlib.error, _zstd().ZstdError) as error:
        raise Unreadable(f"a block cannot be decompressed: {error}") from None
    if not decompressor.eof:
        raise Unreadable(f"a block is cut off, or holds more than {MOST_BYTES} bytes")
    return "null", plain


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
