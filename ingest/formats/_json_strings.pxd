"""Strings of JSON, made plain."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from ingest.formats._json_cursor cimport Reader
from ingest.formats._json_scan cimport care_of, four_digits, leading_bytes, sequence_size


cdef inline bint copy_string(Reader* reader, uint8_t* start, int64_t* size) noexcept nogil:
    """A string in quotes, made plain, into memory that has eight bytes more than what is left of the value."""
    cdef const uint8_t* at = reader.at
    cdef const uint8_t* end = reader.end
    cdef uint8_t* to = start
    cdef uint64_t eight, care
    cdef int length
    if at >= end or at[0] != 34:
        return False
    at += 1
    while at < end:
        if end - at >= 8:
            memcpy(&eight, at, 8)
            memcpy(to, &eight, 8)
            care = care_of(eight)
            if care == 0:
                at += 8
                to += 8
                continue
            length = leading_bytes(care)
            at += length
            to += length
        if at[0] == 34:
            reader.at = at + 1
            size[0] = to - start
            return True
        if at[0] == 92:
            length = copy_escape(at, end, &to)
        elif at[0] < 32:
            return False
        elif at[0] < 128:
            to[0] = at[0]
            to += 1
            length = 1
        else:
            length = sequence_size(at, end)
            memcpy(to, at, length)
            to += length
        if length == 0:
            return False
        at += length
    return False


cdef inline int copy_escape(const uint8_t* at, const uint8_t* end, uint8_t** to) noexcept nogil:
    """Bytes of the escape that begins here, whose character goes to ``to``; 0 if it is none."""
    cdef uint8_t plain
    cdef int64_t point, low
    if end - at < 2:
        return 0
    if at[1] == 117:
        point = four_digits(at + 2, end)
        if point < 0 or (point & 0xFC00) == 0xDC00:
            return 0
        if (point & 0xFC00) != 0xD800:
            to[0] = put_point(to[0], <uint32_t>point)
            return 6
        if end - at < 12 or at[6] != 92 or at[7] != 117:
            return 0
        low = four_digits(at + 8, end)
        if low < 0 or (low & 0xFC00) != 0xDC00:
            return 0
        to[0] = put_point(to[0], <uint32_t>(0x10000 + ((point & 0x3FF) << 10) + (low & 0x3FF)))
        return 12
    plain = plain_of(at[1])
    if plain == 0:
        return 0
    to[0][0] = plain
    to[0] += 1
    return 2


cdef inline uint8_t plain_of(uint8_t letter) noexcept nogil:
    if letter == 34 or letter == 92 or letter == 47:
        return letter
    if letter == 110:
        return 10
    if letter == 116:
        return 9
    if letter == 114:
        return 13
    if letter == 98:
        return 8
    return 12 if letter == 102 else 0


cdef inline uint8_t* put_point(uint8_t* to, uint32_t point) noexcept nogil:
    if point < 0x80:
        to[0] = <uint8_t>point
        return to + 1
    if point < 0x800:
        to[0] = <uint8_t>(0xC0 | (point >> 6))
        to[1] = <uint8_t>(0x80 | (point & 63))
        return to + 2
    if point < 0x10000:
        to[0] = <uint8_t>(0xE0 | (point >> 12))
        to[1] = <uint8_t>(0x80 | ((point >> 6) & 63))
        to[2] = <uint8_t>(0x80 | (point & 63))
        return to + 3
    to[0] = <uint8_t>(0xF0 | (point >> 18))
    to[1] = <uint8_t>(0x80 | ((point >> 12) & 63))
    to[2] = <uint8_t>(0x80 | ((point >> 6) & 63))
    to[3] = <uint8_t>(0x80 | (point & 63))
    return to + 4


cdef inline int six_bits(uint8_t byte) noexcept nogil:
    """The value of a letter of base64, or -1."""
    if 65 <= byte <= 90:
        return byte - 65
    if 97 <= byte <= 122:
        return byte - 71
    if 48 <= byte <= 57:
        return byte + 4
    return 62 if byte == 43 else 63 if byte == 47 else -1
