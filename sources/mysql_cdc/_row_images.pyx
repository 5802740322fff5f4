# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, language_level=3
"""Events of a binlog, and the rows in them as columns, compiled; ``row_images_twin`` is its oracle.

``headers`` reads the heads of events and verifies their checksums, ``images`` finds the row images in rows events,
``decode_images`` makes columns of them. Layouts are those of MariaDB's documentation ("Binlog events"); integers are
little-endian, the parts of times and decimals big-endian.
"""

import numpy as np

from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from ingest.formats._columns cimport Column, copy_texts, days_of, is_date, is_utf8, little, offsets_of, prepared
from ingest.formats._columns cimport uint128

cdef enum Kind:
    INT1 = 0
    INT2 = 1
    INT3 = 2                # ``scale`` is 1 if it has no sign
    INT4 = 3
    INT8 = 4
    YEAR = 5
    DATE = 6
    TIME2 = 7               # ``scale`` is the number of decimals
    DATETIME2 = 8
    TIMESTAMP2 = 9
    TIMESTAMP = 10
    DATETIME = 11
    TIME = 12
    DECIMAL = 13            # ``size`` is the precision
    NUMBER = 14             # of ``size`` bytes: a member of an enum, those of a set
    BITS = 15               # of ``size`` bytes
    TEXT = 16               # behind a length of ``size`` bytes; must be UTF-8
    BYTES = 17              # likewise, whatever it is
    SLICE = 18              # ``size`` bytes as they are

cdef int32_t[19] WIDTHS = [1, 2, 4, 4, 8, 2, 4, 8, 8, 8, 8, 8, 8, 16, 8, 8, 0, 0, 0]
cdef int32_t[16] SIZES = [1, 2, 3, 4, 8, 1, 3, 3, 5, 4, 4, 8, 3, 0, 0, 0]
cdef int32_t[10] DIGIT_BYTES = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4]
cdef uint64_t[20] POWERS = [
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000, 100000000000,
    1000000000000, 10000000000000, 100000000000000, 1000000000000000, 10000000000000000, 100000000000000000,
    1000000000000000000, 10000000000000000000ULL,
]

cdef enum:
    HEAD = 19               # bytes before each event
    TABLE_MAP = 19
    NOT_FULL = -2           # a rows event without all columns

cdef int64_t DAY_US = 86400000000
cdef uint32_t[8][256] CRC


cdef void fill_crc() noexcept:
    cdef uint32_t value
    cdef int byte, bit, slice
    for byte in range(256):
        value = byte
        for bit in range(8):
            value = value >> 1 ^ (<uint32_t> 0xEDB88320U if value & 1 else 0)
        CRC[0][byte] = value
    for byte in range(256):
        for slice in range(1, 8):
            CRC[slice][byte] = CRC[slice - 1][byte] >> 8 ^ CRC[0][CRC[slice - 1][byte] & 0xFF]


fill_crc()


cdef uint32_t crc32(const uint8_t* at, int64_t length) noexcept nogil:
    cdef uint32_t value = 0xFFFFFFFFU, low, high
    while length >= 8:
        low = <uint32_t> little(at, 4) ^ value
        high = <uint32_t> little(at + 4, 4)
        value = (
            CRC[7][low & 0xFF] ^ CRC[6][low >> 8 & 0xFF] ^ CRC[5][low >> 16 & 0xFF] ^ CRC[4][low >> 24]
            ^ CRC[3][high & 0xFF] ^ CRC[2][high >> 8 & 0xFF] ^ CRC[1][high >> 16 & 0xFF] ^ CRC[0][high >> 24]
        )
        at += 8
        length -= 8
    while length > 0:
        value = CRC[0][(value ^ at[0]) & 0xFF] ^ value >> 8
        at += 1
        length -= 1
    return value ^ <uint32_t> 0xFFFFFFFFU


def headers(
    const uint8_t[::1] data, const int64_t[::1] starts, const int64_t[::1] lengths, int64_t[:, ::1] found, int checksum,
):
    """What the heads of the events at ``starts`` say: time, type, server, position behind it, flags, number of its
    table (of table maps and rows, else -1), a hash of its body (of table maps). ``checksum`` is the bytes that each has
    at its end. Returns the number of the first event that is damaged, or -1.
    """
    cdef Py_ssize_t damaged
    with nogil:
        damaged = read_headers(data, starts, lengths, found, checksum)
    return damaged


cdef Py_ssize_t read_headers(
    const uint8_t[::1] data, const int64_t[::1] starts, const int64_t[::1] lengths, int64_t[:, ::1] found, int checksum,
) noexcept nogil:
    cdef Py_ssize_t row, count = starts.shape[0]
    cdef const uint8_t* at
    cdef int64_t length
    cdef int kind
    for row in range(count):
        length = lengths[row]
        if starts[row] < 0 or starts[row] + length > data.shape[0] or length < HEAD + checksum:
            return row
        at = &data[starts[row]]
        if <int64_t> little(at + 9, 4) != length:
            return row
        if checksum and crc32(at, length - 4) != <uint32_t> little(at + length - 4, 4):
            return row
        kind = at[4]
        found[row, 0] = <int64_t> little(at, 4)
        found[row, 1] = kind
        found[row, 2] = <int64_t> little(at + 5, 4)
        found[row, 3] = <int64_t> little(at + 13, 4)
        found[row, 4] = <int64_t> little(at + 17, 2)
        found[row, 5] = -1
        found[row, 6] = 0
        if kind == TABLE_MAP or 20 <= kind <= 25 or 30 <= kind <= 32 or 166 <= kind <= 171 or kind == 39:
            if length < HEAD + 8 + checksum:
                return row
            found[row, 5] = <int64_t> little(at + HEAD, 6)
            if kind == TABLE_MAP:
                found[row, 6] = crc32(at + HEAD, length - HEAD - checksum)
    return -1


cdef struct Wire:
    int kind
    int size
    int scale


cdef inline int fraction_bytes(int decimals) noexcept nogil:
    return (decimals + 1) // 2


cdef inline int decimal_bytes(int precision, int scale) noexcept nogil:
    cdef int whole = precision - scale
    return whole // 9 * 4 + DIGIT_BYTES[whole % 9] + scale // 9 * 4 + DIGIT_BYTES[scale % 9]


cdef inline int64_t size_of(const Wire* wire, const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Of a value; may lie beyond ``end``."""
    if wire.kind <= TIME:
        if TIME2 <= wire.kind <= TIMESTAMP2:
            return SIZES[wire.kind] + fraction_bytes(wire.scale)
        return SIZES[wire.kind]
    if wire.kind == DECIMAL:
        return decimal_bytes(wire.size, wire.scale)
    if wire.kind == TEXT or wire.kind == BYTES:
        if end - at < wire.size:
            return wire.size
        return wire.size + <int64_t> little(at, wire.size)
    return wire.size


cdef Wire* wires_of(const int32_t[:, ::1] layout) except NULL:
    cdef int field
    cdef Wire* wires = <Wire*> calloc(layout.shape[0] + 1, sizeof(Wire))
    if wires == NULL:
        raise MemoryError()
    for field in range(layout.shape[0]):
        wires[field].kind, wires[field].size, wires[field].scale = layout[field, 0], layout[field, 1], layout[field, 2]
        if not INT1 <= wires[field].kind <= SLICE:
            free(wires)
            raise ValueError(f"no kind of column has the number {layout[field, 0]}")
    return wires


def images(
    const uint8_t[::1] data, const int64_t[::1] starts, const int64_t[::1] ends, const int64_t[::1] sides,
    const int32_t[:, ::1] layout,
):
    """Where the row images of rows events lie. Events are given from behind their post-header (the number of columns)
    to their checksum; ``sides`` are how many images a row has: 2 in an update.

    Returns (places of all images, events: the number of the event for each image). Raises ``ValueError`` for bytes that
    are none of such rows, ``LookupError`` for an event without all columns.
    """
    cdef Py_ssize_t event, count = starts.shape[0], found = 0, most = 0
    cdef int fields = <int> layout.shape[0], nulls = (fields + 7) // 8
    cdef int64_t outcome = 0
    cdef int64_t[::1] places, events
    cdef Wire* wires = wires_of(layout)
    try:
        for event in range(count):
            if starts[event] < 0 or ends[event] > data.shape[0]:
                raise ValueError(f"rows event {event} lies outside")
            most += max(0, ends[event] - starts[event]) // max(1, nulls)
        places_array, events_array = np.empty(most + 1, np.int64), np.empty(most + 1, np.int64)
        places, events = places_array, events_array
        with nogil:
            for event in range(count):
                outcome = images_of(
                    &data[0], starts[event], ends[event], <int> sides[event], wires, fields, &places[0], &events[0],
                    found, event,
                )
                if outcome < 0:
                    break
                found = outcome
        if outcome == NOT_FULL:
            raise LookupError("a rows event has not all columns")
        if outcome < 0:
            raise ValueError(f"rows event {event} cannot be read")
        return places_array[:found].copy(), events_array[:found].copy()
    finally:
        free(wires)


cdef int64_t images_of(
    const uint8_t* data, int64_t start, int64_t stop, int sides, const Wire* wires, int fields, int64_t* places,
    int64_t* events, int64_t found, int64_t event,
) noexcept nogil:
    """The number of images that are found by now, -1 for what is no such event, NOT_FULL."""
    cdef const uint8_t* at = data + start
    cdef const uint8_t* end = data + stop
    cdef int nulls = (fields + 7) // 8, side, field, in_row = 0
    cdef int64_t size, begin = found
    if end - at < 1:
        return -1
    if at[0] < 0xFB:
        size = at[0]
        at += 1
    elif at[0] == 0xFC and end - at >= 3:
        size = <int64_t> little(at + 1, 2)
        at += 3
    else:
        return -1
    if size != fields or end - at < sides * nulls:
        return -1
    for side in range(sides):
        for field in range(fields):
            if not at[field >> 3] >> (field & 7) & 1:
                return NOT_FULL
        at += nulls
    while at < end:
        if end - at < nulls:
            return -1
        places[found] = at - data
        events[found] = event
        found += 1
        at = behind_image(at, end, wires, fields)
        if at == NULL:
            return -1
    return found if (found - begin) % sides == 0 else -1


cdef inline const uint8_t* behind_image(const uint8_t* at, const uint8_t* end, const Wire* wires, int fields) noexcept nogil:
    cdef const uint8_t* bitmap = at
    cdef int field
    cdef int64_t size
    at += (fields + 7) // 8
    for field in range(fields):
        if bitmap[field >> 3] >> (field & 7) & 1:
            continue
        size = size_of(&wires[field], at, end)
        if size > end - at:
            return NULL
        at += size
    return at


def decode_images(const uint8_t[::1] data, const int64_t[::1] places, const int32_t[:, ::1] layout):
    """The images at ``places``, which ``images`` has found; -1 gives a row of nulls.

    Returns (columns, refused): a column is (values, present) or, for texts, (offsets, bytes, present), numpy arrays;
    ``refused`` holds for each row 0, or 1 + the number of the first column whose value its type cannot hold.
    """
    cdef int fields = <int> layout.shape[0], field
    cdef Py_ssize_t count = places.shape[0]
    cdef uint8_t[::1] content
    cdef int32_t[::1] refused
    cdef const uint8_t* begin = &data[0] if data.shape[0] else <const uint8_t*> b""
    cdef const uint8_t* end = begin + data.shape[0]
    cdef Column* columns = <Column*> calloc(fields + 1, sizeof(Column))
    cdef uint8_t** targets = <uint8_t**> calloc(fields + 1, sizeof(uint8_t*))
    cdef Wire* wires = wires_of(layout)
    try:
        if columns == NULL or targets == NULL:
            raise MemoryError()
        refused_array = np.zeros(count, np.int32)
        refused = refused_array
        arrays = [prepared(&columns[field], WIDTHS[layout[field, 0]], count) for field in range(fields)]
        with nogil:
            read_all(begin, end, places, wires, columns, fields, refused)
        for field in range(fields):
            if columns[field].width == 0:
                arrays[field] = offsets_of(&columns[field], count, arrays[field])
                if len(arrays[field][1]):
                    content = arrays[field][1]
                    targets[field] = &content[0]
        with nogil:
            copy_texts(begin, columns, fields, count, targets)
        return [array[:3] if len(array) > 3 else array for array in arrays], refused_array
    finally:
        free(columns)
        free(targets)
        free(wires)


cdef void read_all(
    const uint8_t* data, const uint8_t* end, const int64_t[::1] places, const Wire* wires, Column* columns, int fields,
    int32_t[::1] refused,
) noexcept nogil:
    cdef Py_ssize_t row
    cdef int field, nulls = (fields + 7) // 8, fits
    cdef const uint8_t* at
    cdef const uint8_t* bitmap
    for row in range(places.shape[0]):
        if places[row] < 0:
            continue
        bitmap = data + places[row]
        at = bitmap + nulls
        for field in range(fields):
            if bitmap[field >> 3] >> (field & 7) & 1:
                continue
            fits = read_value(&wires[field], &columns[field], row, at, end, data)
            columns[field].present[row] = fits
            if not fits and refused[row] == 0:
                refused[row] = field + 1
            at += size_of(&wires[field], at, end)


cdef inline uint64_t big(const uint8_t* at, int width) noexcept nogil:
    cdef uint64_t value = 0
    cdef int place
    for place in range(width):
        value = value << 8 | at[place]
    return value


cdef inline bint read_value(
    const Wire* wire, Column* column, Py_ssize_t row, const uint8_t* at, const uint8_t* end, const uint8_t* data
) noexcept nogil:
    """False if the type cannot hold it: it is left null."""
    cdef int kind = wire.kind
    cdef uint64_t number
    if kind >= TEXT:
        number = 0
        if kind == SLICE:
            number = wire.size
        else:
            number = little(at, wire.size)
            at += wire.size
        if number > INT32_MAX or (kind == TEXT and not is_utf8(at, number)):
            return False
        column.starts[row] = at - data
        column.lengths[row] = <int32_t> number
        return True
    if kind == INT4:
        (<uint32_t*> column.values)[row] = <uint32_t> little(at, 4)
    elif kind == INT8:
        (<uint64_t*> column.values)[row] = little(at, 8)
    elif kind == INT1:
        column.values[row] = at[0]
    elif kind == INT2:
        column.values[2 * row] = at[0]
        column.values[2 * row + 1] = at[1]
    elif kind == INT3:
        number = little(at, 3)
        if wire.scale == 0 and number & 0x800000:
            number |= <uint64_t> 0xFF000000U
        (<uint32_t*> column.values)[row] = <uint32_t> number
    elif kind == DECIMAL:
        return read_decimal(at, wire.size, wire.scale, <uint64_t*> (column.values + 16 * row))
    elif kind == NUMBER:
        (<uint64_t*> column.values)[row] = little(at, wire.size)
    elif kind == BITS:
        (<uint64_t*> column.values)[row] = big(at, wire.size)
    elif kind == YEAR:
        column.values[2 * row] = (at[0] + 1900 & 0xFF) if at[0] else 0
        column.values[2 * row + 1] = (at[0] + 1900 >> 8) if at[0] else 0
    else:
        return read_time(wire, column, row, at)
    return True


cdef inline int64_t fraction(const uint8_t* at, int decimals) noexcept nogil:
    """Microseconds."""
    if decimals == 0:
        return 0
    if decimals <= 2:
        return <int64_t> at[0] * 10000
    if decimals <= 4:
        return <int64_t> big(at, 2) * 100
    return <int64_t> big(at, 3)


cdef inline bint read_time(const Wire* wire, Column* column, Py_ssize_t row, const uint8_t* at) noexcept nogil:
    cdef int kind = wire.kind
    cdef uint64_t number
    cdef int64_t us
    cdef int64_t* value = <int64_t*> column.values + row
    if kind == DATE:
        number = little(at, 3)
        if not is_date(<int> (number >> 9), <int> (number >> 5 & 15), <int> (number & 31)):
            return False
        (<int32_t*> column.values)[row] = <int32_t> days_of(<int> (number >> 9), <int> (number >> 5 & 15), <int> (number & 31))
        return True
    if kind == TIMESTAMP or kind == TIMESTAMP2:
        number = little(at, 4) if kind == TIMESTAMP else big(at, 4)
        us = fraction(at + 4, wire.scale) if kind == TIMESTAMP2 else 0
        value[0] = <int64_t> number * 1000000 + us
        return value[0] != 0
    if kind == DATETIME2:
        number = big(at, 5)
        if number < 0x8000000000ULL:
            return False
        number -= 0x8000000000ULL
        return moment(
            <int> (number >> 22) // 13, <int> ((number >> 22) % 13), <int> (number >> 17 & 31),
            (<int64_t> (number >> 12 & 31) * 3600 + <int64_t> (number >> 6 & 63) * 60 + <int64_t> (number & 63)) * 1000000
            + fraction(at + 5, wire.scale), value,
        )
    if kind == DATETIME:
        number = little(at, 8)
        return moment(
            <int> (number // 10000000000ULL), <int> (number // 100000000 % 100), <int> (number // 1000000 % 100),
            (<int64_t> (number // 10000 % 100) * 3600 + <int64_t> (number // 100 % 100) * 60 + <int64_t> (number % 100)) * 1000000,
            value,
        )
    if kind == TIME:
        number = little(at, 3)
        if number & 0x800000 or number >= 240000:
            return False
        value[0] = (<int64_t> (number // 10000) * 3600 + <int64_t> (number // 100 % 100) * 60 + <int64_t> (number % 100)) * 1000000
        return True
    # TIME2: a negative one, and one that is longer than a day, is no time of a day
    number = big(at, 3)
    if number < 0x800000:
        return False
    number -= 0x800000
    us = (<int64_t> (number >> 12 & 1023) * 3600 + <int64_t> (number >> 6 & 63) * 60 + <int64_t> (number & 63)) * 1000000
    us += fraction(at + 3, wire.scale)
    if us >= DAY_US:
        return False
    value[0] = us
    return True


cdef inline bint moment(int year, int month, int day, int64_t within, int64_t* value) noexcept nogil:
    if not is_date(year, month, day):
        return False
    value[0] = days_of(year, month, day) * DAY_US + within
    return True


cdef inline bint read_decimal(const uint8_t* at, int precision, int scale, uint64_t* value) noexcept nogil:
    """Groups of nine digits in four bytes, shorter ones at both ends; the first bit is set unless it is negative."""
    cdef int whole = precision - scale, digits
    cdef bint negative = not at[0] & 0x80
    cdef uint64_t flip = 0x80, mask = 0xFF if negative else 0
    cdef uint128 total = 0
    cdef int group, width, place, left
    cdef uint64_t number
    # whole: a short group first; decimals: a short group last
    for group in range(whole // 9 + scale // 9 + 2):
        if group == 0:
            digits = whole % 9
        elif group <= whole // 9 + scale // 9:
            digits = 9
        else:
            digits = scale % 9
        width = DIGIT_BYTES[digits]
        if width == 0:
            continue
        number = 0
        for place in range(width):
            number = number << 8 | (at[place] ^ flip ^ mask)
            flip = 0
        at += width
        total = total * POWERS[digits] + number
    if negative:
        total = ~total + 1
    value[0] = <uint64_t> total
    value[1] = <uint64_t> (total >> 64)
    return True
