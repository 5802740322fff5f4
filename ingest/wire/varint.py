"""Zigzag varints, as Protocol Buffers and Kafka's records have them."""

from __future__ import annotations

from typing import Any


def encode_varint(value: int) -> bytes:
    """A signed number of up to 64 bits, in 1 to 10 bytes."""
    number = ((value << 1) ^ (value >> 63)) & 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while number > 0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_varint(data: Any, at: int, end: int, bits: int) -> tuple[int, int]:
    """The number at ``at`` and where it ends; raises ``ValueError`` if it runs past ``end`` or needs more bits."""
    number = shift = 0
    while at < end and shift < bits:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number >> bits:
                break
            return (number >> 1) ^ -(number & 1), at
        shift += 7
    raise ValueError("not a varint")
