"""Compressed files, told by their first bytes and decompressed piece by piece.

Members (frames) that follow each other are one content. A file that ends inside a member is *unfinished*:
more may come. Zero bytes between or after members are padding, as tape and block tools write it.
"""

from __future__ import annotations

import bz2
import sys
import zlib
from collections.abc import Callable
from typing import Any, Protocol

MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
MAGIC_BYTES = 4


def compression_of(first: bytes) -> str | None:
    """``gzip``, ``bz2``, ``zstd`` or ``none`` by a file's first bytes; None if they are too few to tell."""
    for magic, name in MAGIC.items():
        if first.startswith(magic):
            return name
    undecided = len(first) < MAGIC_BYTES and any(magic.startswith(first) for magic in MAGIC)
    return None if undecided else "none"


class Damaged(Exception):
    """The compressed bytes are not what they claim to be."""


class _Member(Protocol):
    """What ``bz2.BZ2Decompressor`` offers: one member."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _GzipMember:
    """One gzip member in the shape of ``bz2.BZ2Decompressor``."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self._held_back = False

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail and not self._held_back

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        content = self._inner.decompress(self._inner.unconsumed_tail + data, max(max_length, 0))
        # zlib may have taken all input and still hold output when it stops at the limit.
        self._held_back = len(content) == max_length
        return content


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


_MEMBERS: dict[str, Callable[[], _Member]] = {
    "gzip": _GzipMember,
    "bz2": bz2.BZ2Decompressor,
    "zstd": lambda: _zstd().ZstdDecompressor(),
}


class Decompressor:
    """Turns compressed pieces into content; one per open file, forward only."""

    def __init__(self, compression: str) -> None:
        self._new_member = _MEMBERS[compression]
        self._member: _Member | None = None
        self._pending = b""

    @property
    def wants_input(self) -> bool:
        """Nothing more comes out without new compressed bytes."""
        return not self._pending and (self._member is None or self._member.needs_input)

    @property
    def between_members(self) -> bool:
        """The compressed bytes so far end with a whole member."""
        return self._member is None and not self._pending

    def feed(self, data: bytes, max_bytes: int) -> bytes:
        """At most ``max_bytes`` of content from ``data`` and what was held back; raises ``Damaged``.

        An empty answer does not mean the end: ask ``wants_input``.
        """
        data = self._pending + data
        self._pending = b""
        if self._member is None:
            data = data.lstrip(b"\0")
            if not data:
                return b""
            self._member = self._new_member()
        try:
            content = self._member.decompress(data, max_bytes)
        except (OSError, EOFError, ValueError, zlib.error, _zstd().ZstdError) as error:
            raise Damaged(str(error)) from None
        if self._member.eof:
            self._pending = self._member.unused_data
            self._member = None
        return content
