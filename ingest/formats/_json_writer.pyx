# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False, language_level=3
"""Columns as JSON text: the compiled half of ``json_twin.encode``, which is its oracle.

``json_codec`` describes the columns as a tree of ``Column``; ``write_rows`` walks it once a row with the GIL
released. A row that JSON cannot hold is left out and named; the twin then says why.
"""

from libc.math cimport fabs, rint, signbit
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from ingest.formats._json_scan cimport care_of, leading_bytes, sequence_size

cdef enum Kind:
    NULLS = 0
    BOOLEAN = 1
    SIGNED = 2
    UNSIGNED = 3
    FLOAT = 4          # doubles, with texts for those that are not simple
    RAW = 5            # text that is JSON already
    TEXT = 6
    BYTES = 7
    STAMP = 8
    DAY = 9
    CLOCK = 10
    LIST = 11
    STRUCT = 12

cdef struct Column:
    int kind
    int width                  # bytes of one number
    int wide                   # offsets are 64 bits
    int digits                 # of a fraction of a second
    int zoned
    int64_t offset             # of the first slot, in the buffers
    const uint8_t* validity
    const uint8_t* data
    const uint8_t* offsets
    const uint8_t* texts       # of FLOAT: the bytes that its offsets point into
    const char* label          # what stands before the value in its object: ,"name":
    int64_t label_size
    int child_count
    Column** children
    int64_t known_second       # of STAMP: what known_text says
    char known_text[20]

cdef struct Out:
    uint8_t* start
    int64_t size
    int64_t capacity
    bint full

cdef char* PAIRS = (
    b"00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
    b"4950515253545556575859606162636465666768697071727374757677787980818283848586878889909192939495969798"
    b"99"
)
cdef char* HEX = b"0123456789abcdef"
cdef char* BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
cdef double[7] POWERS = [1.0, 10.0, 100.0, 1000.0, 10000.0, 100000.0, 1000000.0]


cdef class Tree:
    """Columns as the kernel sees them; keeps the Python objects alive that own their memory."""

    cdef Column* columns
    cdef int count
    cdef object owners

    def __cinit__(self, list specs, object owners):
        cdef int index
        self.owners = (specs, owners)
        self.count = len(specs)
        self.columns = <Column*>calloc(self.count, sizeof(Column))
        if self.columns == NULL:
            raise MemoryError()
        for index in range(self.count):
            self.fill(&self.columns[index], specs[index])

    cdef fill(self, Column* column, object spec):
        cdef int position
        cdef bytes label = spec.label
        column.kind = spec.kind
        column.width = spec.width
        column.wide = spec.wide
        column.digits = spec.digits
        column.zoned = spec.zoned
        column.offset = spec.offset
        column.validity = <const uint8_t*><size_t>spec.validity
        column.data = <const uint8_t*><size_t>spec.data
        column.offsets = <const uint8_t*><size_t>spec.offsets
        column.texts = <const uint8_t*><size_t>spec.texts
        column.label = label
        column.label_size = len(label)
        column.child_count = len(spec.children)
        column.known_second = (-1 << 62)
        column.children = <Column**>calloc(column.child_count + 1, sizeof(Column*))
        if column.children == NULL:
            raise MemoryError()
        for position in range(column.child_count):
            column.children[position] = &self.columns[<int>spec.children[position]]

    def __dealloc__(self):
        cdef int index
        if self.columns != NULL:
            for index in range(self.count):
                free(self.columns[index].children)
            free(self.columns)


def write_rows(Tree tree, int64_t first, uint8_t[::1] memory, int64_t[::1] offsets, uint8_t[::1] states):
    """Writes the rows of the struct ``tree`` from ``first`` on, end to end, into ``memory`` at ``offsets[first]``.

    Fills ``offsets`` (rows + 1) and ``states``: 0 written, 1 null, 2 refused. Returns the row at which the memory
    was full: the caller gives more, with what is there, and goes on from that row.
    """
    cdef Out out
    cdef Column* top = &tree.columns[0]
    cdef int64_t row, mark
    cdef int64_t rows = states.shape[0]
    out.start = &memory[0]
    out.capacity = memory.shape[0]
    out.size = offsets[first]
    out.full = False
    with nogil:
        for row in range(first, rows):
            mark = out.size
            states[row] = 0
            if is_null(top, row):
                states[row] = 1
            elif not write_struct(top, row, &out):
                if out.full:
                    break
                out.size = mark
                states[row] = 2
            offsets[row + 1] = out.size
        else:
            row = rows
    return row


cdef inline bint is_null(Column* column, int64_t slot) noexcept nogil:
    if column.validity == NULL:
        return False
    slot += column.offset
    return not (column.validity[slot >> 3] >> (slot & 7)) & 1


cdef inline bint room(Out* out, int64_t need) noexcept nogil:
    if out.size + need <= out.capacity:
        return True
    out.full = True
    return False


cdef inline void put(Out* out, const char* text, int64_t size) noexcept nogil:
    memcpy(out.start + out.size, text, size)
    out.size += size


cdef bint write_struct(Column* column, int64_t slot, Out* out) noexcept nogil:
    cdef int position
    cdef Column* child
    if not room(out, 2):
        return False
    out.start[out.size] = 123
    out.size += 1
    for position in range(column.child_count):
        child = column.children[position]
        if not room(out, child.label_size + 32):
            return False
        # The first label comes without its comma.
        put(out, child.label + (position == 0), child.label_size - (position == 0))
        if not write_value(child, slot, out):
            return False
    if not room(out, 1):
        return False
    out.start[out.size] = 125
    out.size += 1
    return True


cdef bint write_value(Column* column, int64_t slot, Out* out) noexcept nogil:
    """Every branch asks for its own room; 32 bytes beyond the label are there already."""
    cdef int kind = column.kind
    if kind == NULLS or is_null(column, slot):
        put(out, b"null", 4)
        return True
    if kind == TEXT:
        return write_text(column, slot, out)
    if kind == SIGNED or kind == UNSIGNED:
        write_integer(column, slot + column.offset, out)
        return True
    if kind == STAMP:
        return write_stamp(column, slot + column.offset, out)
    if kind == BOOLEAN:
        write_boolean(column, slot + column.offset, out)
        return True
    if kind == FLOAT:
        return write_float(column, slot, out)
    if kind == RAW:
        return write_raw(column, slot, out)
    if kind == STRUCT:
        return write_struct(column, slot, out)
    if kind == LIST:
        return write_list(column, slot, out)
    if kind == DAY:
        return write_day(column, slot + column.offset, out)
    if kind == CLOCK:
        return write_clock(column, slot + column.offset, out)
    return write_bytes(column, slot, out)


cdef inline void range_of(Column* column, int64_t slot, int64_t* start, int64_t* end) noexcept nogil:
    slot += column.offset
    if column.wide:
        start[0] = (<const int64_t*>column.offsets)[slot]
        end[0] = (<const int64_t*>column.offsets)[slot + 1]
    else:
        start[0] = (<const int32_t*>column.offsets)[slot]
        end[0] = (<const int32_t*>column.offsets)[slot + 1]


cdef inline int64_t integer_at(Column* column, int64_t at) noexcept nogil:
    if column.width == 8:
        return (<const int64_t*>column.data)[at]
    if column.width == 4:
        return (<const int32_t*>column.data)[at]
    return (<const int16_t*>column.data)[at] if column.width == 2 else (<const int8_t*>column.data)[at]


cdef inline uint64_t natural_at(Column* column, int64_t at) noexcept nogil:
    if column.width == 8:
        return (<const uint64_t*>column.data)[at]
    if column.width == 4:
        return (<const uint32_t*>column.data)[at]
    return (<const uint16_t*>column.data)[at] if column.width == 2 else (<const uint8_t*>column.data)[at]


cdef inline void write_integer(Column* column, int64_t at, Out* out) noexcept nogil:
    cdef int64_t value
    if column.kind == UNSIGNED:
        put_natural(out, natural_at(column, at))
        return
    value = integer_at(column, at)
    if value < 0:
        out.start[out.size] = 45
        out.size += 1
        put_natural(out, 0 - <uint64_t>value)
    else:
        put_natural(out, <uint64_t>value)


cdef inline void put_natural(Out* out, uint64_t value) noexcept nogil:
    cdef char[20] text
    cdef int at = 20
    cdef uint64_t rest
    while value >= 100:
        rest = value % 100
        value //= 100
        at -= 2
        text[at] = PAIRS[2 * rest]
        text[at + 1] = PAIRS[2 * rest + 1]
    if value >= 10:
        at -= 2
        text[at] = PAIRS[2 * value]
        text[at + 1] = PAIRS[2 * value + 1]
    else:
        at -= 1
        text[at] = <char>(48 + value)
    put(out, text + at, 20 - at)


cdef inline void put_digits(char* to, uint64_t value, int count) noexcept nogil:
    while count > 0:
        count -= 1
        to[count] = <char>(48 + value % 10)
        value //= 10


cdef inline void write_boolean(Column* column, int64_t at, Out* out) noexcept nogil:
    if (column.data[at >> 3] >> (at & 7)) & 1:
        put(out, b"true", 4)
    else:
        put(out, b"false", 5)


cdef bint write_float(Column* column, int64_t slot, Out* out) noexcept nogil:
    """Up to six decimals and 15 digits: then the shortest text is the scaled integer, and no other."""
    cdef double value = (<const double*>column.data)[slot + column.offset]
    cdef double size = fabs(value)
    cdef double scaled
    cdef int decimals = 0
    cdef uint64_t whole, power
    if is_simple(value):
        while True:
            scaled = rint(size * POWERS[decimals])
            if scaled / POWERS[decimals] == size:
                break
            decimals += 1
        if signbit(value):
            out.start[out.size] = 45
            out.size += 1
        power = <uint64_t>POWERS[decimals]
        whole = <uint64_t>scaled
        put_natural(out, whole // power)
        out.start[out.size] = 46
        put_digits(<char*>out.start + out.size + 1, whole % power, decimals if decimals else 1)
        out.size += 1 + (decimals if decimals else 1)
        return True
    return write_literal(column, slot, out)


cdef inline bint is_simple(double value) noexcept nogil:
    cdef double size = fabs(value)
    cdef int decimals
    if not size < 1e9 or (size < 1e-4 and size != 0):
        return False
    for decimals in range(7):
        if rint(size * POWERS[decimals]) / POWERS[decimals] == size:
            return True
    return False


def mark_simple(const double[::1] values, uint8_t[::1] simple):
    """Which numbers ``write_rows`` needs no text for."""
    cdef Py_ssize_t row
    with nogil:
        for row in range(values.shape[0]):
            simple[row] = is_simple(values[row])


cdef bint write_literal(Column* column, int64_t slot, Out* out) noexcept nogil:
    """A float's text as Arrow writes it, made JSON: a whole one gets ``.0``; the special ones are names."""
    cdef int64_t start, end, at
    cdef const uint8_t* text
    cdef bint whole = True
    range_of(column, slot, &start, &end)
    text = column.texts + start
    if text[0] == 110:
        put(out, b'"NaN"', 5)
        return True
    if text[0] == 105 or (end - start > 1 and text[1] == 105):
        if text[0] == 45:
            put(out, b'"-Infinity"', 11)
        else:
            put(out, b'"Infinity"', 10)
        return True
    if not room(out, end - start + 2):
        return False
    for at in range(end - start):
        if text[at] == 46 or text[at] == 101:
            whole = False
    put(out, <const char*>text, end - start)
    if whole:
        put(out, b".0", 2)
    return True


cdef bint write_raw(Column* column, int64_t slot, Out* out) noexcept nogil:
    cdef int64_t start, end
    range_of(column, slot, &start, &end)
    if not room(out, end - start):
        return False
    put(out, <const char*>column.data + start, end - start)
    return True


cdef bint write_list(Column* column, int64_t slot, Out* out) noexcept nogil:
    cdef int64_t start, end, item
    range_of(column, slot, &start, &end)
    if not room(out, 2):
        return False
    out.start[out.size] = 91
    out.size += 1
    for item in range(start, end):
        if not room(out, 34):
            return False
        if item > start:
            out.start[out.size] = 44
            out.size += 1
        if not write_value(column.children[0], item, out):
            return False
    if not room(out, 1):
        return False
    out.start[out.size] = 93
    out.size += 1
    return True


cdef bint write_bytes(Column* column, int64_t slot, Out* out) noexcept nogil:
    cdef int64_t start, end
    cdef const uint8_t* data
    cdef uint8_t* to
    cdef uint32_t three
    range_of(column, slot, &start, &end)
    if not room(out, (end - start + 2) // 3 * 4 + 2):
        return False
    to = out.start + out.size
    to[0] = 34
    to += 1
    data = column.data
    while start < end:
        three = <uint32_t>data[start] << 16
        if start + 1 < end:
            three |= <uint32_t>data[start + 1] << 8
        if start + 2 < end:
            three |= data[start + 2]
        to[0] = BASE64[three >> 18]
        to[1] = BASE64[(three >> 12) & 63]
        to[2] = BASE64[(three >> 6) & 63] if start + 1 < end else 61
        to[3] = BASE64[three & 63] if start + 2 < end else 61
        to += 4
        start += 3
    to[0] = 34
    out.size = to + 1 - out.start
    return True


cdef bint write_text(Column* column, int64_t slot, Out* out) noexcept nogil:
    """Eight bytes at a time as long as none needs care; false where it is not UTF-8."""
    cdef int64_t start, end
    cdef const uint8_t* at
    cdef const uint8_t* stop
    cdef uint8_t* to
    cdef uint64_t eight, care
    cdef int length
    range_of(column, slot, &start, &end)
    # A byte becomes six at most (\u0000); eight more, for each step copies eight.
    if not room(out, 6 * (end - start) + 16):
        return False
    at = column.data + start
    stop = column.data + end
    to = out.start + out.size
    to[0] = 34
    to += 1
    while at < stop:
        if stop - at >= 8:
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
        if at[0] < 0x80:
            to = put_ascii(to, at[0])
            at += 1
            continue
        length = sequence_size(at, stop)
        if length == 0:
            return False
        memcpy(to, at, length)
        at += length
        to += length
    to[0] = 34
    out.size = to + 1 - out.start
    return True


cdef inline uint8_t* put_ascii(uint8_t* to, uint8_t byte) noexcept nogil:
    if byte >= 32 and byte != 34 and byte != 92:
        to[0] = byte
        return to + 1
    to[0] = 92
    if byte == 34 or byte == 92:
        to[1] = byte
    elif byte == 10:
        to[1] = 110
    elif byte == 13:
        to[1] = 114
    elif byte == 9:
        to[1] = 116
    elif byte == 8:
        to[1] = 98
    elif byte == 12:
        to[1] = 102
    else:
        memcpy(to + 1, b"u00", 3)
        to[4] = HEX[byte >> 4]
        to[5] = HEX[byte & 15]
        return to + 6
    return to + 2


cdef inline int64_t floor_divide(int64_t value, int64_t by) noexcept nogil:
    cdef int64_t whole = value // by
    return whole - 1 if value % by < 0 else whole


cdef bint put_day(char* to, int64_t days) noexcept nogil:
    """``YYYY-MM-DD`` of days since 1970 (Hinnant's civil_from_days); false outside of the years 1 to 9999."""
    cdef int64_t era, year
    cdef int64_t of_era, of_year, month, day
    if days < -719162 or days > 2932896:
        return False
    days += 719468
    era = floor_divide(days, 146097)
    of_era = days - era * 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    year += era * 400
    month = month + 3 if month < 10 else month - 9
    if month <= 2:
        year += 1
    put_digits(to, year, 4)
    to[4] = 45
    put_digits(to + 5, month, 2)
    to[7] = 45
    put_digits(to + 8, day, 2)
    return True


cdef inline void put_clock(char* to, int64_t second) noexcept nogil:
    put_digits(to, second // 3600, 2)
    to[2] = 58
    put_digits(to + 3, second // 60 % 60, 2)
    to[5] = 58
    put_digits(to + 6, second % 60, 2)


cdef inline int64_t unit_of(int digits) noexcept nogil:
    return 1 if digits == 0 else 1000 if digits == 3 else 1000000 if digits == 6 else 1000000000


cdef inline void put_fraction(Out* out, int64_t fraction, int digits) noexcept nogil:
    if digits:
        out.start[out.size] = 46
        put_digits(<char*>out.start + out.size + 1, fraction, digits)
        out.size += digits + 1


cdef bint write_stamp(Column* column, int64_t at, Out* out) noexcept nogil:
    cdef int64_t unit = unit_of(column.digits)
    cdef int64_t value = (<const int64_t*>column.data)[at]
    cdef int64_t second = floor_divide(value, unit)
    cdef int64_t days
    if second != column.known_second:
        days = floor_divide(second, 86400)
        # Forgotten first: put_day may leave half of another date.
        column.known_second = (-1 << 62)
        if not put_day(column.known_text, days):
            return False
        column.known_text[10] = 84
        put_clock(column.known_text + 11, second - days * 86400)
        column.known_second = second
    if not room(out, 48):
        return False
    out.start[out.size] = 34
    out.size += 1
    put(out, column.known_text, 19)
    put_fraction(out, value - second * unit, column.digits)
    if column.zoned:
        out.start[out.size] = 90
        out.size += 1
    out.start[out.size] = 34
    out.size += 1
    return True


cdef bint write_day(Column* column, int64_t at, Out* out) noexcept nogil:
    out.start[out.size] = 34
    if not put_day(<char*>out.start + out.size + 1, integer_at(column, at)):
        return False
    out.start[out.size + 11] = 34
    out.size += 12
    return True


cdef bint write_clock(Column* column, int64_t at, Out* out) noexcept nogil:
    cdef int64_t unit = unit_of(column.digits)
    cdef int64_t value = integer_at(column, at)
    cdef int64_t second = floor_divide(value, unit)
    if second < 0 or second >= 86400:
        return False
    out.start[out.size] = 34
    put_clock(<char*>out.start + out.size + 1, second)
    out.size += 9
    put_fraction(out, value - second * unit, column.digits)
    out.start[out.size] = 34
    out.size += 1
    return True
