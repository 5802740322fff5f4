"""Zigzag varints, as Protocol Buffers and Kafka's records have them."""

from __future__ import annotations


def encode_varint(value: int) -> bytes:
    """A signed number of up to 64 bits, in 1 to 10 bytes."""
    number = ((value << 1) ^ (value >> 63)) & 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while number > 0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def varint_size(value: int) -> int:
    """How many bytes ``encode_varint`` makes of it."""
    number = ((value << 1) ^ (value >> 63)) & 0xFFFFFFFFFFFFFFFF
    return max(1, (number.bit_length() + 6) // 7)
