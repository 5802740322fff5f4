"""What stands between an encoder and the draft of its file: a compressor, or nothing."""

from __future__ import annotations

import sys
from typing import Any, Protocol

from ingest.sinks.files.settings import Compression
from ingest.sinks.lake.store import Draft

SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst", "bz2": ".bz2"}


class Compressor(Protocol):
    """As of zlib, bz2 and zstd."""

    def compress(self, data: Any, /) -> bytes: ...

    def flush(self) -> bytes: ...


class Output:
    """A Python file object, as far as pyarrow needs one. What a compressor holds back comes with ``finish``."""

    def __init__(self, draft: Draft, compression: Compression, level: int | None) -> None:
        self._draft = draft
        self._compressor = _compressor(compression, level)
        self._written = 0
        self.closed = False

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self._written += size
        if self._compressor is None:
            self._draft.write(data)
        elif squeezed := self._compressor.compress(data):
            self._draft.write(squeezed)
        return size

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        return

    def close(self) -> None:
        self.closed = True

    def finish(self) -> None:
        """After the last byte."""
        if self._compressor is not None:
            self._draft.write(self._compressor.flush())


def squeeze(data: bytes, compression: Compression, level: int | None) -> bytes:
    """All at once, as Avro's blocks are: gzip without its frame is called deflate there."""
    if compression == "none":
        return data
    compressor = _deflater(level) if compression == "gzip" else _compressor(compression, level)
    assert compressor is not None
    return compressor.compress(data) + compressor.flush()


def _compressor(compression: Compression, level: int | None) -> Compressor | None:
    if compression == "gzip":
        import zlib

        return zlib.compressobj(6 if level is None else level, wbits=31)
    if compression == "bz2":
        import bz2

        return bz2.BZ2Compressor(9 if level is None else level)
    if compression == "zstd":
        return _zstd(level)
    return None


def _deflater(level: int | None) -> Compressor:
    import zlib

    return zlib.compressobj(6 if level is None else level, wbits=-15)


def _zstd(level: int | None) -> Compressor:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    found: Compressor = zstd.ZstdCompressor(level=level)
    return found
