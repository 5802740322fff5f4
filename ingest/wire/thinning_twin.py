"""Taking records out of a section without a compiler: the compiled kernel's oracle."""

from __future__ import annotations

from typing import Any

from ingest.wire.varint import encode_varint


def thin_records(section: Any, keep: Any, shift: int, out: Any) -> int:
    """See ``_codec.thin_records``."""
    data, at, kept = bytes(section), 0, bytearray()
    for wanted in keep:
        length, start = _varint(data, at)
        stop = start + length
        if start < 0 or length < 6 or stop > len(data):
            return -1
        if wanted:
            delta, rest = _varint(data[:stop], start + 1)
            if rest < 0:
                return -1
            body = data[start : start + 1] + encode_varint(_wrapped(delta + shift)) + data[rest:stop]
            kept += encode_varint(len(body)) + body
        at = stop
    if at != len(data) and len(keep):
        return -1
    out[: len(kept)] = memoryview(kept)
    return len(kept)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at ``at`` and where it ends; -1 if it does not."""
    number = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
        shift += 7
    return 0, -1


def _wrapped(number: int) -> int:
    """As 64 bits hold it."""
    return (number + 2**63) % 2**64 - 2**63
