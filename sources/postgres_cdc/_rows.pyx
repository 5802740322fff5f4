# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Rows of pgoutput to columns, compiled; ``messages_twin`` is its oracle.

A row is a count of columns (int16), then for each a letter: ``t`` with a length (int32) and that many bytes of text, ``n``
for null, ``u`` for a value that an update did not touch and that is therefore not sent. Texts are read as a session prints
them whose ``DateStyle`` is ISO and whose ``TimeZone`` is UTC.
"""

import numpy as np

from libc.stdint cimport INT32_MAX, INT64_MAX, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

cdef extern from *:
    """
    typedef __int128 ingest_int128;
    """
    ctypedef long long int128 "ingest_int128"
    uint16_t bswap16 "__builtin_bswap16"(uint16_t) nogil
    uint32_t bswap32 "__builtin_bswap32"(uint32_t) nogil

cdef enum Kind:
    TEXT = 0
    BYTES = 1
    BOOL = 2
    INT2 = 3
    INT4 = 4
    INT8 = 5
    OID = 6
    DATE = 7
    TIME = 8
    TIMESTAMP = 9

cdef int32_t[10] WIDTHS = [0, 0, 1, 2, 4, 8, 4, 4, 8, 8]

cdef inline uint16_t be16(const uint8_t* at) noexcept nogil:
    cdef uint16_t value
    memcpy(&value, at, 2)
    return bswap16(value)


cdef inline uint32_t be32(const uint8_t* at) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, at, 4)
    return bswap32(value)


cdef struct Column:
    int kind
    uint8_t* values         # fixed sizes
    uint8_t* present
    uint8_t* unsent
    int64_t* starts         # of texts
    int32_t* lengths


def read_rows(const uint8_t[::1] data, const int64_t[::1] places, const int32_t[::1] kinds):
    """The rows at ``places``, as ``scan`` gives them; all values of a row whose place is -1 are null.

    Returns (columns, refused): a column is (values, present, unsent) or, for texts and bytes, (offsets, bytes, present,
    unsent), numpy arrays; ``unsent`` marks values that the server left out, as an update had not touched them.
    ``refused`` holds for each row 0, or 1 + the number of the first column whose value its type cannot hold.
    Raises ``ValueError`` for rows of other columns or values that are not of their kind.
    """
    cdef int fields = <int> kinds.shape[0], field
    cdef Py_ssize_t count = places.shape[0], bad
    cdef Column* columns = <Column*> calloc(fields + 1, sizeof(Column))
    if columns == NULL:
        raise MemoryError()
    try:
        refused = np.zeros(count, np.int32)
        arrays = [prepared(&columns[field], kinds[field], count) for field in range(fields)]
        bad = read_all(data, places, columns, fields, refused)
        if bad >= 0:
            raise ValueError(f"row {bad} of {count} is not of the table's columns")
        return [
            texts_of(data, &columns[field], count, arrays[field]) if columns[field].kind <= BYTES else arrays[field]
            for field in range(fields)
        ], refused
    finally:
        free(columns)


cdef tuple prepared(Column* column, int kind, Py_ssize_t count):
    cdef uint8_t[::1] present, unsent, values
    cdef int64_t[::1] starts
    cdef int32_t[::1] lengths
    if not TEXT <= kind <= TIMESTAMP:
        raise ValueError(f"no kind of column has the number {kind}")
    column.kind = kind
    present_array, unsent_array = np.zeros(count + 1, np.uint8), np.zeros(count + 1, np.uint8)
    present, unsent = present_array, unsent_array
    column.present, column.unsent = &present[0], &unsent[0]
    if kind <= BYTES:
        starts_array, lengths_array = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int32)
        starts, lengths = starts_array, lengths_array
        column.starts, column.lengths = &starts[0], &lengths[0]
        return starts_array, lengths_array, present_array[:count], unsent_array[:count]
    values_array = np.zeros((count + 1) * WIDTHS[kind], np.uint8)
    values = values_array
    column.values = &values[0]
    return values_array[: count * WIDTHS[kind]], present_array[:count], unsent_array[:count]


cdef Py_ssize_t read_all(
    const uint8_t[::1] data, const int64_t[::1] places, Column* columns, int fields, int32_t[::1] refused
):
    """The number of the row that is wrong, or -1."""
    cdef Py_ssize_t row = 0, count = places.shape[0]
    cdef const uint8_t* at
    cdef const uint8_t* end
    cdef int field, outcome
    cdef uint32_t length
    with nogil:
        for row in range(count):
            if places[row] < 0:
                continue
            at = &data[0] + places[row]
            end = &data[0] + data.shape[0]
            if end - at < 2 or be16(at) != fields:
                return row
            at += 2
            for field in range(fields):
                if end - at < 1:
                    return row
                if at[0] != c't':
                    columns[field].unsent[row] = at[0] == c'u'
                    at += 1
                    continue
                if end - at < 5:
                    return row
                length = be32(at + 1)
                at += 5
                if end - at < length or length > INT32_MAX:
                    return row
                outcome = read_value(&columns[field], row, at, length, at - &data[0])
                if outcome < 0:
                    return row
                if outcome == 0 and refused[row] == 0:
                    refused[row] = field + 1
                at += length
    return -1


cdef inline int read_value(
    Column* column, Py_ssize_t row, const uint8_t* at, uint32_t length, int64_t place
) noexcept nogil:
    """1 read, 0 its type cannot hold the value (it is left null), -1 no such value."""
    cdef int kind = column.kind
    cdef int64_t number = 0
    cdef int outcome = 1
    cdef const uint8_t* end = at + length
    if kind == TEXT:
        column.starts[row], column.lengths[row] = place, <int32_t> length
    elif kind == BYTES:
        if length < 2 or length % 2 or at[0] != c'\\' or at[1] != c'x':
            return -1
        column.starts[row], column.lengths[row] = place + 2, <int32_t> (length // 2 - 1)
    elif kind == BOOL:
        if length != 1 or (at[0] != c't' and at[0] != c'f'):
            return -1
        column.values[row] = at[0] == c't'
    elif kind <= OID:
        if not whole_number(at, end, &number) or not of_kind(kind, number):
            return -1
        if kind == INT2:
            (<uint16_t*> column.values)[row] = <uint16_t> number
        elif kind == INT8:
            (<int64_t*> column.values)[row] = number
        else:
            (<uint32_t*> column.values)[row] = <uint32_t> number
    elif kind == DATE:
        outcome = date(at, end, <int32_t*> column.values + row)
    elif kind == TIME:
        if time_of_day(&at, end, <int64_t*> column.values + row) == 0 or at != end:
            return -1
    else:
        outcome = timestamp(at, end, <int64_t*> column.values + row)
    column.present[row] = outcome == 1
    return outcome


cdef inline bint of_kind(int kind, int64_t number) noexcept nogil:
    if kind == INT2:
        return number == <int16_t> number
    if kind == INT4:
        return number == <int32_t> number
    return kind == INT8 or number == <uint32_t> number


cdef inline bint whole_number(const uint8_t* at, const uint8_t* end, int64_t* number) noexcept nogil:
    cdef bint negative = at < end and at[0] == c'-'
    cdef uint64_t total = 0
    at += negative
    if at == end or end - at > 19:
        return False
    while at < end:
        if at[0] < c'0' or at[0] > c'9':
            return False
        total = 10 * total + (at[0] - c'0')
        at += 1
    number[0] = <int64_t> (0 - total if negative else total)
    return total <= <uint64_t> INT64_MAX + negative


cdef inline int digits(const uint8_t** at, const uint8_t* end, int64_t* number) noexcept nogil:
    """How many digits there are, at most nine."""
    cdef int count = 0
    number[0] = 0
    while at[0] < end and count < 9 and c'0' <= at[0][0] <= c'9':
        number[0] = 10 * number[0] + (at[0][0] - c'0')
        at[0] += 1
        count += 1
    return count


cdef inline bint mark(const uint8_t** at, const uint8_t* end, uint8_t letter) noexcept nogil:
    if at[0] == end or at[0][0] != letter:
        return False
    at[0] += 1
    return True


cdef inline bint infinite(const uint8_t* at, const uint8_t* end) noexcept nogil:
    return (end - at == 8 and memcmp(at, b"infinity", 8) == 0) or (end - at == 9 and memcmp(at, b"-infinity", 9) == 0)


cdef inline const uint8_t* before_christ(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Where a date ends that may be followed by `` BC``."""
    return end - 3 if end - at > 3 and memcmp(end - 3, b" BC", 3) == 0 else end


cdef inline bint days(const uint8_t** at, const uint8_t* end, bint bc, int64_t* number) noexcept nogil:
    """Days since 1970 of year-month-day."""
    cdef int64_t year, month, day, era, of_era
    if digits(at, end, &year) < 4 or not mark(at, end, c'-'):
        return False
    if digits(at, end, &month) != 2 or not mark(at, end, c'-') or digits(at, end, &day) != 2:
        return False
    if bc:
        year = 1 - year
    year -= month <= 2
    era = (year if year >= 0 else year - 399) // 400
    of_era = year - era * 400
    day += (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 - 1
    number[0] = era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + day - 719468
    return True


cdef inline bint time_of_day(const uint8_t** at, const uint8_t* end, int64_t* number) noexcept nogil:
    """Microseconds since midnight."""
    cdef int64_t hour, minute, second, fraction = 0
    cdef int places
    if digits(at, end, &hour) != 2 or not mark(at, end, c':') or digits(at, end, &minute) != 2:
        return False
    if not mark(at, end, c':') or digits(at, end, &second) != 2:
        return False
    if mark(at, end, c'.'):
        places = digits(at, end, &fraction)
        if places < 1 or places > 6:
            return False
        while places < 6:
            fraction *= 10
            places += 1
    number[0] = ((hour * 60 + minute) * 60 + second) * 1000000 + fraction
    return True


cdef inline int date(const uint8_t* at, const uint8_t* end, int32_t* value) noexcept nogil:
    cdef const uint8_t* stop = before_christ(at, end)
    cdef int64_t number
    if infinite(at, end):
        return 0
    if not days(&at, stop, stop != end, &number) or at != stop:
        return -1
    value[0] = <int32_t> number
    return 1


cdef inline int timestamp(const uint8_t* at, const uint8_t* end, int64_t* value) noexcept nogil:
    """With or without the zone ``+00``: the session's is UTC."""
    cdef const uint8_t* stop = before_christ(at, end)
    cdef int64_t day, time
    cdef int128 total
    if infinite(at, end):
        return 0
    if not days(&at, stop, stop != end, &day) or not mark(&at, stop, c' ') or not time_of_day(&at, stop, &time):
        return -1
    if stop - at == 3 and memcmp(at, b"+00", 3) == 0:
        at += 3
    if at != stop:
        return -1
    total = <int128> day * 86400000000LL + time
    if total > INT64_MAX:
        return 0
    value[0] = <int64_t> total
    return 1


cdef tuple texts_of(const uint8_t[::1] data, Column* column, Py_ssize_t count, tuple found):
    """(offsets, bytes, present, unsent)"""
    cdef int32_t[::1] offsets
    cdef uint8_t[::1] content
    cdef int64_t total = 0
    cdef Py_ssize_t row, place
    cdef bint good = True
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
        raise ValueError("a column has more than 2 GiB of text")
    content_array = np.empty(total + 1, np.uint8)
    content = content_array
    with nogil:
        for row in range(count):
            if column.lengths[row] == 0:
                continue
            if column.kind == TEXT:
                memcpy(&content[offsets[row]], &data[column.starts[row]], column.lengths[row])
            elif not unhexed(&data[column.starts[row]], &content[offsets[row]], column.lengths[row]):
                good = False
                break
    if not good:
        raise ValueError("a value of bytea is not hexadecimal")
    return offsets_array, content_array[:total], found[2], found[3]


cdef inline bint unhexed(const uint8_t* source, uint8_t* target, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t at
    cdef int high, low
    for at in range(count):
        high, low = nibble(source[2 * at]), nibble(source[2 * at + 1])
        if high < 0 or low < 0:
            return False
        target[at] = <uint8_t> (high << 4 | low)
    return True


cdef inline int nibble(uint8_t letter) noexcept nogil:
    if c'0' <= letter <= c'9':
        return letter - c'0'
    return letter - c'a' + 10 if c'a' <= letter <= c'f' else -1
