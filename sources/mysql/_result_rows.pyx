# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, language_level=3
"""Rows of a prepared statement's result to columns, compiled; ``result_rows_twin`` is its oracle.

A row is one packet: a zero, a bitmap of nulls that begins at its third bit, then the values in little-endian order
(MariaDB's documentation, "Resultset row", binary). ``packets`` finds the rows in what the socket gave, ``decode_rows``
reads them in two passes: the first reads what has a fixed size and finds where texts lie, the second copies the texts.
"""

import numpy as np

from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memmove

from ingest.formats._columns cimport Column, copy_texts, days_of, is_date, is_utf8, little, offsets_of, prepared
from ingest.formats._columns cimport uint128

cdef enum Kind:
    FIXED1 = 0
    FIXED2 = 1
    FIXED4 = 2
    FIXED8 = 3
    DECIMAL = 4
    DATE = 5
    DATETIME = 6
    TIME = 7
    BIT = 8
    NULLS = 9
    TEXT = 10
    BYTES = 11

cdef int32_t[12] WIDTHS = [1, 2, 4, 8, 16, 4, 8, 8, 8, 1, 0, 0]

cdef enum:
    WHOLE_PACKET = 0xFFFFFF     # longer rows go on in the next packet
    MORE = 0                    # the memory ends within a packet
    END = 1                     # of the result
    ERROR = 2                   # the statement failed
    FULL = 3                    # there is no room for more rows in ``starts``
    MOST_DIGITS = 38

cdef int64_t DAY_US = 86400000000


def packets(uint8_t[::1] memory, Py_ssize_t at, Py_ssize_t end, int64_t[::1] starts, int64_t[::1] lengths):
    """Finds the rows in ``memory[at:end]`` and writes where each begins and how long it is.

    A row of several packets is put together in place. Returns (outcome, rows, at, need): the outcome as above; what is
    left begins at ``at`` (with END and ERROR, that last packet), and ``need`` is how many bytes it has at least.
    """
    cdef Py_ssize_t rows = 0, most = min(starts.shape[0], lengths.shape[0]), after, need = 4
    cdef int64_t size = 0
    cdef int outcome = MORE
    cdef uint8_t* data = &memory[0] if memory.shape[0] else NULL
    with nogil:
        while True:
            after = end_of_row(data, at, end, &size, &need)
            if after < 0:
                break
            if size == 0 or data[at + 4] != 0:
                outcome = ERROR if size and data[at + 4] == 0xFF else END
                break
            if rows == most:
                outcome = FULL
                break
            join_packets(data, at, after)
            starts[rows] = at + 4
            lengths[rows] = size
            rows += 1
            at = after
    return outcome, rows, at, need


cdef inline Py_ssize_t end_of_row(
    const uint8_t* data, Py_ssize_t at, Py_ssize_t end, int64_t* size, Py_ssize_t* need
) noexcept nogil:
    """Where the packets of the row at ``at`` end, or -1 if they are not there; ``size`` is without their headers."""
    cdef Py_ssize_t begin = at
    cdef int64_t part = WHOLE_PACKET
    size[0] = 0
    while part == WHOLE_PACKET:
        need[0] = at + 4 - begin
        if end - at < 4:
            return -1
        part = little(data + at, 3)
        need[0] += part
        if end - at - 4 < part:
            return -1
        size[0] += part
        at += 4 + part
    return at


cdef inline void join_packets(uint8_t* data, Py_ssize_t at, Py_ssize_t after) noexcept nogil:
    cdef Py_ssize_t size = little(data + at, 3)
    cdef Py_ssize_t target = at + 4 + size
    cdef Py_ssize_t source = target
    while source < after:
        size = little(data + source, 3)
        memmove(data + target, data + source + 4, size)
        target += size
        source += 4 + size


def decode_rows(
    const uint8_t[::1] data, const int64_t[::1] starts, const int64_t[::1] lengths,
    const int32_t[::1] kinds, const int32_t[::1] scales,
):
    """The rows that ``packets`` found, as many as ``starts`` has.

    Returns (columns, refused): a column is (values, present) or, for texts, (offsets, bytes, present), numpy arrays;
    ``refused`` holds for each row 0, or 1 + the number of the first column whose value its type cannot hold.
    Raises ``ValueError`` for bytes that are no such rows, ``OverflowError`` for 2 GiB of texts in a column.
    """
    cdef int fields = <int> kinds.shape[0], field
    cdef Py_ssize_t bad, count = starts.shape[0]
    cdef uint8_t[::1] content
    cdef const uint8_t* begin = &data[0] if data.shape[0] else <const uint8_t*> b""
    cdef Column* columns = <Column*> calloc(fields + 1, sizeof(Column))
    cdef uint8_t** targets = <uint8_t**> calloc(fields + 1, sizeof(uint8_t*))
    try:
        if columns == NULL or targets == NULL:
            raise MemoryError()
        refused = np.zeros(count, np.int32)
        arrays = []
        for field in range(fields):
            if not FIXED1 <= kinds[field] <= BYTES:
                raise ValueError(f"no kind of column has the number {kinds[field]}")
            columns[field].kind, columns[field].scale = kinds[field], scales[field]
            arrays.append(prepared(&columns[field], WIDTHS[kinds[field]], count))
        bad = read_all(begin, data.shape[0], starts, lengths, columns, fields, refused)
        if bad >= 0:
            raise ValueError(f"row {bad} of a result cannot be read")
        for field in range(fields):
            if columns[field].width == 0:
                arrays[field] = offsets_of(&columns[field], count, arrays[field])
                if len(arrays[field][1]):
                    content = arrays[field][1]
                    targets[field] = &content[0]
        with nogil:
            copy_texts(begin, columns, fields, count, targets)
        return [array[:3] if len(array) > 3 else array for array in arrays], refused
    finally:
        free(columns)
        free(targets)


cdef Py_ssize_t read_all(
    const uint8_t* data, Py_ssize_t size, const int64_t[::1] starts, const int64_t[::1] lengths, Column* columns,
    int fields, int32_t[::1] refused,
):
    """The number of the row at which the bytes are wrong, or -1."""
    cdef Py_ssize_t row, count = refused.shape[0]
    cdef int field, outcome = 1, nulls = (fields + 2 + 7) // 8
    cdef const uint8_t* at
    cdef const uint8_t* bitmap
    cdef const uint8_t* end
    with nogil:
        for row in range(count):
            if starts[row] < 0 or lengths[row] < 1 + nulls or starts[row] + lengths[row] > size:
                return row
            at = data + starts[row]
            end = at + lengths[row]
            bitmap = at + 1
            at += 1 + nulls
            for field in range(fields):
                if bitmap[(field + 2) >> 3] >> ((field + 2) & 7) & 1:
                    continue
                outcome = read_field(&columns[field], row, &at, end, data)
                if outcome < 0:
                    return row
                columns[field].present[row] = outcome == 1
                if outcome == 0 and refused[row] == 0:
                    refused[row] = field + 1
            if at != end:
                return row
    return -1


cdef inline int read_field(Column* column, Py_ssize_t row, const uint8_t** place, const uint8_t* end, const uint8_t* data) noexcept nogil:
    """1 read, 0 its type cannot hold the value (it is left null), -1 no such value. Moves ``place`` behind it."""
    cdef int kind = column.kind
    cdef const uint8_t* at = place[0]
    cdef int64_t length
    if kind <= FIXED8:
        if end - at < column.width:
            return -1
        place[0] = at + column.width
        if kind == FIXED4:
            (<uint32_t*> column.values)[row] = <uint32_t> little(at, 4)
        elif kind == FIXED8:
            (<uint64_t*> column.values)[row] = little(at, 8)
        elif kind == FIXED1:
            column.values[row] = at[0]
        else:
            column.values[2 * row] = at[0]
            column.values[2 * row + 1] = at[1]
        return 1
    length = read_length(&at, end)
    if length < 0 or end - at < length or kind == NULLS:
        return -1
    place[0] = at + length
    if kind >= TEXT:
        if length > INT32_MAX:
            return 0
        if kind == TEXT and not is_utf8(at, length):
            return 0
        column.starts[row] = at - data
        column.lengths[row] = <int32_t> length
        return 1
    if kind == DECIMAL:
        return read_decimal(at, length, column.scale, <uint64_t*> (column.values + 16 * row))
    if kind == BIT:
        return read_bits(at, length, <uint64_t*> column.values + row)
    if kind == TIME:
        return read_time(at, length, <int64_t*> column.values + row)
    return read_moment(at, length, column, row)


cdef inline int64_t read_length(const uint8_t** place, const uint8_t* end) noexcept nogil:
    """A length-encoded integer; -1 for none."""
    cdef const uint8_t* at = place[0]
    cdef int width
    if at >= end or at[0] == 0xFB or at[0] == 0xFF:
        return -1
    if at[0] < 0xFB:
        place[0] = at + 1
        return at[0]
    width = 2 if at[0] == 0xFC else 3 if at[0] == 0xFD else 8
    if end - at - 1 < width:
        return -1
    place[0] = at + 1 + width
    return <int64_t> little(at + 1, width)


cdef inline int read_decimal(const uint8_t* at, int64_t length, int scale, uint64_t* value) noexcept nogil:
    """Digits as the server prints them, to 128 bits with ``scale`` decimals."""
    cdef const uint8_t* end = at + length
    cdef bint negative = length > 0 and at[0] == 45
    cdef uint128 total = 0
    cdef int digits = 0, decimals = -1
    cdef int digit
    if negative:
        at += 1
    if at == end:
        return -1
    while at < end:
        if at[0] == 46 and decimals < 0:
            decimals = 0
            at += 1
            continue
        digit = at[0] - 48
        if digit < 0 or digit > 9:
            return -1
        if digits or digit:
            digits += 1
        total = total * 10 + <uint128> digit         # which wraps around, if there are too many
        if decimals >= 0:
            decimals += 1
        at += 1
    decimals = max(decimals, 0)
    if decimals > scale or (digits and digits + scale - decimals > MOST_DIGITS):
        return 0
    while decimals < scale:
        total = total * 10
        decimals += 1
    if negative:
        total = ~total + 1
    value[0] = <uint64_t> total
    value[1] = <uint64_t> (total >> 64)
    return 1


cdef inline int read_bits(const uint8_t* at, int64_t length, uint64_t* value) noexcept nogil:
    """The most significant byte comes first."""
    cdef uint64_t bits = 0
    cdef int64_t place
    if length > 8:
        return -1
    for place in range(length):
        bits = bits << 8 | at[place]
    value[0] = bits
    return 1


cdef inline int read_moment(const uint8_t* at, int64_t length, Column* column, Py_ssize_t row) noexcept nogil:
    """A date, with a time or without: nothing at all is 0000-00-00, which no type holds."""
    cdef int64_t days, us = 0
    if length == 0:
        return 0
    if length != 4 and length != 7 and length != 11:
        return -1
    if not is_date(<int> little(at, 2), at[2], at[3]):
        return 0
    days = days_of(<int> little(at, 2), at[2], at[3])
    if length >= 7:
        us = (<int64_t> at[4] * 3600 + <int64_t> at[5] * 60 + at[6]) * 1000000
    if length == 11:
        us += <int64_t> little(at + 7, 4)
    if column.kind == DATE:
        (<int32_t*> column.values)[row] = <int32_t> days
        return 1 if us == 0 else 0
    (<int64_t*> column.values)[row] = days * DAY_US + us
    return 1


cdef inline int read_time(const uint8_t* at, int64_t length, int64_t* value) noexcept nogil:
    """A sign, days, hours, minutes, seconds, microseconds. What is no time of a day is refused."""
    cdef int64_t us = 0
    if length != 0 and length != 8 and length != 12:
        return -1
    if length:
        us = (<int64_t> at[5] * 3600 + <int64_t> at[6] * 60 + at[7]) * 1000000
        if length == 12:
            us += <int64_t> little(at + 8, 4)
        if (at[0] and (us or little(at + 1, 4))) or little(at + 1, 4) or us >= DAY_US:
            return 0
    value[0] = us
    return 1
