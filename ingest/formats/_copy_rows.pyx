# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Rows of PostgreSQL's binary COPY to columns, compiled; ``copy_rows_twin`` is its oracle.

A row is a count of fields (int16), then for each its length (int32, -1 is null) and that many bytes, all big-endian
(PostgreSQL manual, "COPY", binary format). Two passes: the first reads what has a fixed size and finds where texts
lie, the second copies the texts. Both run without the interpreter's lock.
"""

import numpy as np

from libc.stdint cimport INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, int16_t, int32_t, int64_t, uint8_t, uint16_t
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

cdef extern from *:
    """
    typedef unsigned __int128 ingest_uint128;
    """
    ctypedef unsigned long long uint128 "ingest_uint128"
    uint16_t bswap16 "__builtin_bswap16"(uint16_t) nogil
    uint32_t bswap32 "__builtin_bswap32"(uint32_t) nogil
    uint64_t bswap64 "__builtin_bswap64"(uint64_t) nogil

cdef enum Kind:
    BOOL = 0
    INT2 = 1
    INT4 = 2
    INT8 = 3
    DATE = 4
    TIME = 5
    TIMESTAMP = 6
    UUID = 7
    INTERVAL = 8
    NUMERIC = 9
    TEXT = 10
    JSONB = 11

cdef int32_t[12] WIDTHS = [1, 2, 4, 8, 4, 8, 8, 16, 16, 16, 0, 0]

cdef enum:
    BLOCK = 1024            # rows whose texts are copied column by column, while they are in the cache
    EPOCH_DAYS = 10957      # from 1970-01-01 to 2000-01-01
    MOST_DIGITS = 38
    SLACK = 32
    FEW_DIGITS = 4          # of base 10,000

cdef int64_t EPOCH_US = 946684800000000
cdef int64_t MOST_INTERVAL_US = 9223372036854775     # its nanoseconds are an int64
cdef uint64_t[20] POWERS = [
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000, 100000000000,
    1000000000000, 10000000000000, 100000000000000, 1000000000000000, 10000000000000000, 100000000000000000,
    1000000000000000000, 10000000000000000000ULL,
]

cdef inline uint16_t be16(const uint8_t* at) noexcept nogil:
    cdef uint16_t value
    memcpy(&value, at, 2)
    return bswap16(value)


cdef inline uint32_t be32(const uint8_t* at) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, at, 4)
    return bswap32(value)


cdef inline uint64_t be64(const uint8_t* at) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, at, 8)
    return bswap64(value)


cdef struct Column:
    int kind
    int scale
    uint8_t* values         # fixed sizes
    uint8_t* present
    int64_t* starts         # of texts
    int32_t* lengths


def decode_rows(const uint8_t[::1] data, Py_ssize_t count, const int32_t[::1] kinds, const int32_t[::1] scales):
    """Exactly ``count`` rows that fill ``data``.

    Returns (columns, refused): a column is (values, present) or, for texts, (offsets, bytes, present), numpy arrays;
    ``refused`` holds for each row 0, or 1 + the number of the first column whose value its type cannot hold.
    Raises ``ValueError`` for bytes that are no such rows, ``OverflowError`` for 2 GiB of texts in a column.
    """
    cdef int fields = <int> kinds.shape[0], field
    cdef Py_ssize_t bad
    cdef Column* columns = <Column*> calloc(fields + 1, sizeof(Column))
    if columns == NULL:
        raise MemoryError()
    try:
        refused = np.zeros(count, np.int32)
        arrays = [prepared(&columns[field], kinds[field], scales[field], count) for field in range(fields)]
        bad = read_all(data, columns, fields, refused)
        if bad >= 0:
            raise ValueError(f"row {bad} of a binary COPY cannot be read")
        for field in range(fields):
            if columns[field].kind >= TEXT:
                arrays[field] = offsets_of(&columns[field], count, arrays[field])
        copy_texts(data, columns, fields, count, arrays)
        return [array[:3] if len(array) > 3 else array for array in arrays], refused
    finally:
        free(columns)


cdef tuple prepared(Column* column, int kind, int scale, Py_ssize_t count):
    cdef uint8_t[::1] present, values
    cdef int64_t[::1] starts
    cdef int32_t[::1] lengths
    if not BOOL <= kind <= JSONB:
        raise ValueError(f"no kind of column has the number {kind}")
    column.kind = kind
    column.scale = scale
    present_array = np.zeros(count + 1, np.uint8)
    present = present_array
    column.present = &present[0]
    if kind >= TEXT:
        starts_array, lengths_array = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int32)
        starts, lengths = starts_array, lengths_array
        column.starts, column.lengths = &starts[0], &lengths[0]
        return starts_array, lengths_array, present_array
    values_array = np.zeros((count + 1) * WIDTHS[kind], np.uint8)
    values = values_array
    column.values = &values[0]
    return values_array[: count * WIDTHS[kind]], present_array[:count]


cdef Py_ssize_t read_all(const uint8_t[::1] data, Column* columns, int fields, int32_t[::1] refused):
    """The number of the row at which the bytes are wrong, or -1."""
    cdef Py_ssize_t row = 0, count = refused.shape[0]
    cdef const uint8_t* begin = &data[0] if data.shape[0] else <const uint8_t*> b""
    cdef const uint8_t* at = begin
    cdef const uint8_t* end = begin + data.shape[0]
    cdef int field, outcome
    cdef int32_t length
    with nogil:
        for row in range(count):
            if end - at < 2 or <int16_t> be16(at) != fields:
                return row
            at += 2
            for field in range(fields):
                if end - at < 4:
                    return row
                length = <int32_t> be32(at)
                at += 4
                if length < 0:
                    if length != -1:
                        return row
                    continue
                if end - at < length:
                    return row
                outcome = read_field(&columns[field], row, at, length, at - begin)
                if outcome < 0:
                    return row
                if outcome == 0 and refused[row] == 0:
                    refused[row] = field + 1
                at += length
    return -1 if at == end else count


cdef inline int read_field(Column* column, Py_ssize_t row, const uint8_t* at, int32_t length, int64_t place) noexcept nogil:
    """1 read, 0 its type cannot hold the value (it is left null), -1 no such value."""
    cdef int kind = column.kind
    cdef int outcome = 1
    if kind == NUMERIC:
        outcome = read_numeric(at, length, column.scale, column.values + 16 * row)
    elif kind == TEXT:
        column.starts[row] = place
        column.lengths[row] = length
    elif kind == JSONB:
        if length < 1 or at[0] != 1:
            return -1
        column.starts[row] = place + 1
        column.lengths[row] = length - 1
    elif length != WIDTHS[kind]:
        return -1
    else:
        outcome = read_fixed(kind, row, at, column.values)
    column.present[row] = outcome == 1
    return outcome


cdef inline int read_fixed(int kind, Py_ssize_t row, const uint8_t* at, uint8_t* values) noexcept nogil:
    if kind == BOOL:
        values[row] = at[0] != 0
    elif kind == INT2:
        (<uint16_t*> values)[row] = be16(at)
    elif kind == INT4:
        (<uint32_t*> values)[row] = be32(at)
    elif kind == INT8 or kind == TIME:
        (<uint64_t*> values)[row] = be64(at)
    elif kind == DATE:
        return read_date(at, <int32_t*> values + row)
    elif kind == TIMESTAMP:
        return read_timestamp(at, <int64_t*> values + row)
    elif kind == INTERVAL:
        return read_interval(at, values + 16 * row)
    else:
        memcpy(values + 16 * row, at, 16)
    return 1


cdef inline int read_date(const uint8_t* at, int32_t* value) noexcept nogil:
    cdef int32_t days = <int32_t> be32(at)
    if days == INT32_MAX or days == INT32_MIN or days > INT32_MAX - EPOCH_DAYS:
        return 0
    value[0] = days + EPOCH_DAYS
    return 1


cdef inline int read_timestamp(const uint8_t* at, int64_t* value) noexcept nogil:
    cdef int64_t instant = <int64_t> be64(at)
    if instant == INT64_MAX or instant == INT64_MIN or instant > INT64_MAX - EPOCH_US:
        return 0
    value[0] = instant + EPOCH_US
    return 1


cdef inline int read_interval(const uint8_t* at, uint8_t* value) noexcept nogil:
    """Microseconds, days, months; to months, days, nanoseconds."""
    cdef int64_t us = <int64_t> be64(at)
    if us > MOST_INTERVAL_US or us < -MOST_INTERVAL_US:
        return 0
    (<uint32_t*> value)[0] = be32(at + 12)
    (<uint32_t*> value)[1] = be32(at + 8)
    (<int64_t*> value)[1] = us * 1000
    return 1


cdef inline int read_numeric(const uint8_t* at, int32_t length, int scale, uint8_t* value) noexcept nogil:
    """Digits of base 10,000, the first of weight ``weight``, to 128 bits with ``scale`` decimals."""
    cdef int count, weight, sign, outcome
    cdef uint128 total = 0
    if length < 8:
        return -1
    count = be16(at)
    weight = <int16_t> be16(at + 2)
    sign = be16(at + 4)
    if sign & 0xC000 == 0xC000:      # not a number, or infinite
        return 0
    if length != 8 + 2 * count or (sign != 0 and sign != 0x4000):
        return -1
    if count <= FEW_DIGITS and -4 < scale + 4 * (weight - count + 1) <= 19 - 4 * FEW_DIGITS:
        outcome = few_digits(at + 8, count, scale + 4 * (weight - count + 1), &total)
    else:
        outcome = many_digits(at + 8, count, scale + 4 * weight, &total)
    if outcome < 1:
        return outcome
    if sign:
        total = ~total + 1
    (<uint64_t*> value)[0] = <uint64_t> total
    (<uint64_t*> value)[1] = <uint64_t> (total >> 64)
    return 1


cdef inline int few_digits(const uint8_t* at, int count, int shift, uint128* total) noexcept nogil:
    """As most numbers are: 64 bits do. ``shift``: of the last digit's unit, to the left."""
    cdef uint64_t sum = 0, unit
    cdef uint32_t digit
    cdef int position
    for position in range(count):
        digit = be16(at + 2 * position)
        if digit > 9999:
            return -1
        sum = sum * 10000 + digit
    if shift >= 0:
        total[0] = sum * POWERS[shift]
        return 1
    unit = POWERS[-shift]
    total[0] = sum // unit
    return sum % unit == 0


cdef int many_digits(const uint8_t* at, int count, int first_shift, uint128* total) noexcept nogil:
    """``first_shift``: of the first digit's unit, to the left."""
    cdef uint32_t digit, unit
    cdef int position, shift
    cdef bint fits = True
    for position in range(count):
        digit = be16(at + 2 * position)
        if digit > 9999:
            return -1
        shift = first_shift - 4 * position
        if digit == 0 or not fits:
            continue
        if shift >= 0:
            # digits stand at different places: if each is below 10^38, so is their sum
            fits = shift < MOST_DIGITS and (shift <= MOST_DIGITS - 4 or digit < POWERS[MOST_DIGITS - shift])
            if fits:
                total[0] += <uint128> digit * ten_to(shift)
        elif shift <= -4:
            fits = False
        else:
            unit = <uint32_t> POWERS[-shift]
            fits = digit % unit == 0
            total[0] += digit // unit
    return fits


cdef inline uint128 ten_to(int power) noexcept nogil:
    return <uint128> POWERS[power] if power < 20 else <uint128> POWERS[19] * POWERS[power - 19]


cdef tuple offsets_of(Column* column, Py_ssize_t count, tuple found):
    """(offsets, room for the bytes, present, starts, lengths)"""
    cdef int32_t[::1] offsets
    cdef int64_t total = 0
    cdef Py_ssize_t row
    offsets_array = np.empty(count + 1, np.int32)
    offsets = offsets_array
    with nogil:
        offsets[0] = 0
        for row in range(count):
            total += column.lengths[row]
            if total > INT32_MAX:
                break
            offsets[row + 1] = <int32_t> total
    if total > INT32_MAX:
        raise OverflowError("a column has more than 2 GiB of text")
    starts, lengths, present = found
    return offsets_array, np.empty(total + SLACK, np.uint8)[:total], present[:count], starts, lengths


cdef copy_texts(const uint8_t[::1] data, Column* columns, int fields, Py_ssize_t count, list arrays):
    cdef uint8_t** targets = <uint8_t**> calloc(fields + 1, sizeof(uint8_t*))
    cdef uint8_t[::1] content
    cdef Py_ssize_t row, begin = 0, end
    cdef int field
    cdef Column* column
    cdef const uint8_t* content_begin = &data[0] if data.shape[0] else NULL
    cdef const uint8_t* content_end = content_begin + data.shape[0]
    if targets == NULL:
        raise MemoryError()
    for field in range(fields):
        if columns[field].kind >= TEXT and len(arrays[field][1]):
            content = arrays[field][1]
            targets[field] = &content[0]
    with nogil:
        while begin < count:
            end = min(begin + BLOCK, count)
            for field in range(fields):
                if targets[field] == NULL:
                    continue
                column = &columns[field]
                for row in range(begin, end):
                    copy_text(targets[field], content_begin + column.starts[row], column.lengths[row], content_end)
                    targets[field] += column.lengths[row]
            begin = end
    free(targets)


cdef inline void copy_text(uint8_t* target, const uint8_t* source, int32_t length, const uint8_t* end) noexcept nogil:
    """A short one with what stands behind it, which is written over: moves of a fixed size need no call. There are
    ``SLACK`` bytes more in the target."""
    if length <= SLACK // 2 and source + SLACK // 2 <= end:
        memcpy(target, source, SLACK // 2)
    elif length <= SLACK and source + SLACK <= end:
        memcpy(target, source, SLACK)
    else:
        memcpy(target, source, length)
