"""The bytes of a text object from some byte on, decompressed on the way if its name or its first bytes say so."""

from __future__ import annotations

from typing import IO

from ingest.sources.file.decompress import MAGIC_BYTES, Damaged, Decompressor, compression_of
from ingest.sources.files.pieces import Unreadable

_READ_BYTES = 1024 * 1024


class Content:
    """Forward only. A compressed object is decompressed from its beginning, up to where reading goes on."""

    def __init__(self, file: IO[bytes], start: int) -> None:
        self._file = file
        first = file.read(MAGIC_BYTES)
        compression = compression_of(first) or "none"
        self._decompressor = None if compression == "none" else Decompressor(compression)
        if self._decompressor is None:
            file.seek(start)
        else:
            file.seek(0)
            self._skip(start)

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes, fewer only if no more can be had at once; none at the end."""
        if self._decompressor is None:
            return self._file.read(size)
        return self._decompressed(self._decompressor, size)

    def close(self) -> None:
        self._file.close()

    def _decompressed(self, decompressor: Decompressor, size: int) -> bytes:
        while True:
            data = self._file.read(_READ_BYTES) if decompressor.wants_input else b""
            if decompressor.wants_input and not data:
                if decompressor.between_members:
                    return b""
                raise Unreadable("the compressed content ends in the middle")
            try:
                content = decompressor.feed(data, size)
            except Damaged as error:
                raise Unreadable(f"the compressed content is damaged: {error}") from None
            if content:
                return content

    def _skip(self, count: int) -> None:
        while count:
            content = self.read(min(count, _READ_BYTES))
            if not content:
                raise Unreadable("the content is shorter than what was read of it before")
            count -= len(content)
