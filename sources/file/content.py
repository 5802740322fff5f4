"""A file's content as a run of bytes that can be read at an offset, compressed or not.

``read`` never waits: it returns fewer bytes than asked where the file ends at the moment.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod

import numpy as np
import pyarrow as pa

from ingest.sources.file.decompress import Damaged, Decompressor
from ingest.sources.file.fingerprint import BLOCK_BYTES, Bytes

_PIECE_BYTES = 256 * 1024
_SKIP_BYTES = 32 * 1024 * 1024
_EMPTY = np.empty(0, np.uint8)


def read_at(fd: int, offset: int, size: int) -> Bytes:
    """Up to ``size`` bytes of ``fd`` from ``offset``, in memory of Arrow's pool (no page faults once warm)."""
    target = pa.allocate_buffer(size)
    view = memoryview(target)
    done = 0
    while done < size:
        count = os.preadv(fd, [view[done:]], offset + done)
        if count == 0:
            break
        done += count
    return np.frombuffer(target, np.uint8, count=done)


class Content(ABC):
    """An open file. Owns its descriptor. Used by one thread."""

    compression: str
    damage: str | None = None
    """Why nothing after what was read can be read, ever (a corrupt member)."""
    kept_from: int = 0
    """Reading before this byte starts again at 0."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @abstractmethod
    def prepare(self, offset: int) -> bool:
        """True when ``read`` can answer from ``offset``; else call again: it takes a bounded step each time."""

    @abstractmethod
    def read(self, offset: int, size: int) -> Bytes:
        """Up to ``size`` bytes from ``offset``, valid until the next call."""

    @property
    @abstractmethod
    def reached(self) -> int:
        """The end of the content, as far as it is known without more reading."""

    @property
    @abstractmethod
    def finished(self) -> bool:
        """All was read, and it is whole as it stands: nothing suggests that more must come."""

    taken: int = 0
    """How many bytes of a compressed file were read."""

    def rewind(self) -> None:
        """Forgets what was read: the file may hold something else by now."""
        return

    def close(self) -> None:
        """Frees the descriptor; may be called twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class PlainContent(Content):
    """Bytes as they are."""

    compression = "none"

    def prepare(self, offset: int) -> bool:
        return True

    def read(self, offset: int, size: int) -> Bytes:
        # Asking the size first keeps a short file from costing a large allocation.
        left = os.fstat(self.fd).st_size - offset
        return read_at(self.fd, offset, min(size, left)) if left > 0 else _EMPTY

    @property
    def reached(self) -> int:
        return os.fstat(self.fd).st_size

    @property
    def finished(self) -> bool:
        return True


class PackedContent(Content):
    """Decompressed content: read forward; going back before what is kept starts again at byte 0."""

    def __init__(self, fd: int, compression: str) -> None:
        super().__init__(fd)
        self.compression = compression
        self.rewind()

    def rewind(self) -> None:
        self._decompressor = Decompressor(self.compression)
        self.taken = 0
        self._kept = bytearray()
        self.kept_from = 0
        self.damage = None

    @property
    def finished(self) -> bool:
        at_end = self.taken >= os.fstat(self.fd).st_size
        return at_end and self.damage is None and self._decompressor.between_members

    def prepare(self, offset: int) -> bool:
        if offset < self.kept_from:
            self.rewind()
        limit = min(offset, self.reached + _SKIP_BYTES)
        while self.reached < limit and self._more():
            self._forget_before(min(self.reached, offset) - BLOCK_BYTES)
        return self.reached >= offset or not self._can_continue()

    def read(self, offset: int, size: int) -> Bytes:
        if offset < self.kept_from:
            self.rewind()
        self._forget_before(offset)
        while self.reached < offset + size and self._more():
            self._forget_before(offset)
        begin = offset - self.kept_from
        return np.frombuffer(bytes(memoryview(self._kept)[begin : begin + size]), np.uint8) if begin >= 0 else _EMPTY

    @property
    def reached(self) -> int:
        """How far the content was decompressed."""
        return self.kept_from + len(self._kept)

    def _can_continue(self) -> bool:
        return self.damage is None and (not self._decompressor.wants_input or self.taken < os.fstat(self.fd).st_size)

    def _more(self) -> bool:
        """One step forward; false where the file ends for now or is damaged."""
        if self.damage is not None:
            return False
        piece = b""
        if self._decompressor.wants_input:
            piece = os.pread(self.fd, _PIECE_BYTES, self.taken)
            if not piece:
                return False
            self.taken += len(piece)
        try:
            self._kept += self._decompressor.feed(piece, _PIECE_BYTES)
        except Damaged as error:
            self.damage = f"{self.compression} data is corrupt before byte {self.taken}: {error}"
            return False
        return True

    def _forget_before(self, offset: int) -> None:
        count = min(offset - self.kept_from, len(self._kept))
        if count > 0:
            del self._kept[:count]
            self.kept_from += count


def open_content(fd: int, compression: str) -> Content:
    """Takes over ``fd``."""
    return PlainContent(fd) if compression == "none" else PackedContent(fd, compression)
