"""What the JSON kernels share about bytes of text: eight at a time, and what is UTF-8."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    /* How many bytes stand before the first one whose high bit is set. */
    static inline int ingest_leading_bytes(uint64_t bits) {
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        return __builtin_ctzll(bits) >> 3;
    #else
        unsigned char bytes[8];
        int count = 0;
        memcpy(bytes, &bits, 8);
        while (count < 8 && !(bytes[count] & 0x80)) count++;
        return count;
    #endif
    }
    """
    int leading_bytes "ingest_leading_bytes"(uint64_t bits) noexcept nogil


cdef inline uint64_t care_of(uint64_t eight) noexcept nogil:
    """A high bit at each byte that is a control, a quote, a backslash or not ASCII; the subtraction carries
    upwards, so on a little-endian machine the first one is right and later ones may be false."""
    cdef uint64_t ones = 0x0101010101010101ULL
    cdef uint64_t quote = eight ^ (ones * 34)
    cdef uint64_t slash = eight ^ (ones * 92)
    return (((eight - ones * 32) | (quote - ones) | (slash - ones)) & ~eight | eight) & (ones << 7)


cdef inline int sequence_size(const uint8_t* at, const uint8_t* stop) noexcept nogil:
    """Bytes of the UTF-8 sequence that begins here with a byte above 127; 0 if it is none."""
    cdef uint8_t first = at[0]
    cdef int64_t left = stop - at
    if first < 0xC2 or first > 0xF4:
        return 0
    if left < 2 or (at[1] & 0xC0) != 0x80:
        return 0
    if first < 0xE0:
        return 2
    if left < 3 or (at[2] & 0xC0) != 0x80:
        return 0
    if first < 0xF0:
        if (first == 0xE0 and at[1] < 0xA0) or (first == 0xED and at[1] > 0x9F):
            return 0
        return 3
    if left < 4 or (at[3] & 0xC0) != 0x80:
        return 0
    if (first == 0xF0 and at[1] < 0x90) or (first == 0xF4 and at[1] > 0x8F):
        return 0
    return 4


cdef inline int64_t four_digits(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Four hexadecimal digits, or -1."""
    cdef int position
    cdef int64_t value = 0
    cdef uint8_t byte
    if end - at < 4:
        return -1
    for position in range(4):
        byte = at[position]
        if 48 <= byte <= 57:
            value = value * 16 + byte - 48
        elif 97 <= (byte | 32) <= 102:
            value = value * 16 + (byte | 32) - 87
        else:
            return -1
    return value
