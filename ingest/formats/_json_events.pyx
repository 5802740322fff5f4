# cython: boundscheck=False, wraparound=False, cdivision=True
"""Where the JSON objects of a text begin and end; see json_events.py, and json_events_twin.py for the same in Python.

Every byte is looked at: what is found is JSON by RFC 8259 to its end, UTF-8 included. Nothing is built.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy

from ingest.formats._json_scan cimport care_of, four_digits, leading_bytes, sequence_size

cdef enum:
    MOST_DEPTH = 1024

cdef enum Trouble:
    NONE = 0
    NOT_JSON = 1
    NOT_OBJECT = 2
    TOO_DEEP = 3
    NO_LIST = 4


cdef struct Cursor:
    const uint8_t* at
    const uint8_t* end
    int depth                  # the most that are allowed
    int trouble


def find_object(const uint8_t[:] data, int depth):
    """Whether the whole text is one object: its trouble and where that is; (0, 0) if it is."""
    cdef Cursor cursor
    cdef const uint8_t* start = &data[0] if data.shape[0] else NULL
    if start == NULL:
        return NOT_JSON, 0
    cursor.at = start
    cursor.end = start + data.shape[0]
    cursor.depth = min(depth, MOST_DEPTH)
    cursor.trouble = NONE
    skip_space(&cursor)
    if pass_object(&cursor):
        skip_space(&cursor)
        if cursor.at == cursor.end:
            return 0, 0
        cursor.trouble = NOT_JSON
    return cursor.trouble, cursor.at - start


def find_lines(const uint8_t[:] data, int depth, int64_t[:] starts, int64_t[:] stops):
    """One object a line; blank lines are none. As many as there are line feeds, and one more, must have room.

    The number found before the first trouble, the trouble, and where it is.
    """
    cdef Cursor cursor
    cdef const uint8_t* start
    cdef const uint8_t* feed
    cdef const uint8_t* end
    cdef int64_t count = 0
    if not data.shape[0]:
        return 0, 0, 0
    start = &data[0]
    end = start + data.shape[0]
    cursor.at = start
    cursor.depth = min(depth, MOST_DEPTH)
    cursor.trouble = NONE
    with nogil:
        while cursor.at < end:
            feed = <const uint8_t*>memchr(cursor.at, 10, end - cursor.at)
            cursor.end = end if feed == NULL else feed
            skip_space(&cursor)
            if cursor.at < cursor.end:
                starts[count] = cursor.at - start
                if not pass_object(&cursor):
                    break
                stops[count] = cursor.at - start
                skip_space(&cursor)
                if cursor.at < cursor.end:
                    cursor.trouble = NOT_JSON
                    break
                count += 1
            cursor.at = cursor.end + 1
    return count, cursor.trouble, min(cursor.at - start, data.shape[0])


def find_items(const uint8_t[:] data, int depth, int64_t[:] starts, int64_t[:] stops):
    """The objects of one list. Stops with the trouble -1 when ``starts`` has no more room.

    The number found before the first trouble, the trouble, and where it is.
    """
    cdef Cursor cursor
    cdef const uint8_t* start
    cdef int64_t count = 0
    cdef bint more
    if not data.shape[0]:
        return 0, NOT_JSON, 0
    start = &data[0]
    cursor.at = start
    cursor.end = start + data.shape[0]
    cursor.depth = min(depth, MOST_DEPTH)
    cursor.trouble = NONE
    with nogil:
        skip_space(&cursor)
        if not take(&cursor, 91):
            cursor.trouble = NO_LIST
        else:
            skip_space(&cursor)
            more = not take(&cursor, 93)
            while more:
                if count == starts.shape[0]:
                    cursor.trouble = -1
                    break
                skip_space(&cursor)
                starts[count] = cursor.at - start
                if not pass_object(&cursor):
                    break
                stops[count] = cursor.at - start
                count += 1
                skip_space(&cursor)
                more = take(&cursor, 44)
                if not more and not take(&cursor, 93):
                    cursor.trouble = NOT_JSON
                    break
            if cursor.trouble == NONE:
                skip_space(&cursor)
                if cursor.at < cursor.end:
                    cursor.trouble = NOT_JSON
    return count, cursor.trouble, cursor.at - start


def gather(const uint8_t[:] data, const int64_t[:] starts, const int64_t[:] stops, uint8_t[:] into):
    """Copies the pieces of ``data`` one behind the other; ``into`` must have their size."""
    cdef int64_t row, size
    cdef int64_t at = 0
    with nogil:
        for row in range(starts.shape[0]):
            size = stops[row] - starts[row]
            if size:
                memcpy(&into[at], &data[starts[row]], size)
            at += size


cdef inline void skip_space(Cursor* cursor) noexcept nogil:
    cdef const uint8_t* at = cursor.at
    while at < cursor.end and at[0] <= 32 and (at[0] == 32 or at[0] == 10 or at[0] == 13 or at[0] == 9):
        at += 1
    cursor.at = at


cdef inline bint take(Cursor* cursor, uint8_t byte) noexcept nogil:
    if cursor.at < cursor.end and cursor.at[0] == byte:
        cursor.at += 1
        return True
    return False


cdef bint pass_object(Cursor* cursor) noexcept nogil:
    if cursor.at < cursor.end and cursor.at[0] == 123:
        return pass_value(cursor)
    # What is no JSON at all is told so, not that it is no object.
    if pass_value(cursor):
        cursor.trouble = NOT_OBJECT
    return False


cdef bint pass_value(Cursor* cursor) noexcept nogil:
    """From the first byte of a value to behind its last one, without recursion."""
    cdef uint8_t[MOST_DEPTH] closing
    cdef int depth = 0
    cdef uint8_t byte
    while True:
        # a value begins here
        if cursor.at >= cursor.end:
            return fail(cursor)
        byte = cursor.at[0]
        if byte == 123 or byte == 91:
            if depth >= cursor.depth:
                cursor.trouble = TOO_DEEP
                return False
            cursor.at += 1
            closing[depth] = byte + 2
            depth += 1
            skip_space(cursor)
            if not take(cursor, byte + 2):
                if byte == 123 and not pass_name(cursor):
                    return False
                continue
            depth -= 1
        elif not pass_scalar(cursor, byte):
            return fail(cursor)
        # a value has ended here
        while depth:
            skip_space(cursor)
            if take(cursor, 44):
                skip_space(cursor)
                if closing[depth - 1] == 125 and not pass_name(cursor):
                    return False
                break
            if not take(cursor, closing[depth - 1]):
                return fail(cursor)
            depth -= 1
        else:
            return True


cdef bint fail(Cursor* cursor) noexcept nogil:
    cursor.trouble = NOT_JSON
    return False


cdef inline bint pass_name(Cursor* cursor) noexcept nogil:
    if cursor.at >= cursor.end or cursor.at[0] != 34 or not pass_string(cursor):
        return fail(cursor)
    skip_space(cursor)
    if not take(cursor, 58):
        return fail(cursor)
    skip_space(cursor)
    return True


cdef inline bint pass_scalar(Cursor* cursor, uint8_t byte) noexcept nogil:
    if byte == 34:
        return pass_string(cursor)
    if byte == 116:
        return pass_word(cursor, b"true", 4)
    if byte == 102:
        return pass_word(cursor, b"false", 5)
    if byte == 110:
        return pass_word(cursor, b"null", 4)
    return pass_number(cursor)


cdef inline bint pass_word(Cursor* cursor, const char* word, int size) noexcept nogil:
    if cursor.end - cursor.at >= size and memcmp(cursor.at, word, size) == 0:
        cursor.at += size
        return True
    return False


cdef inline bint pass_digits(Cursor* cursor) noexcept nogil:
    cdef const uint8_t* start = cursor.at
    while cursor.at < cursor.end and 48 <= cursor.at[0] <= 57:
        cursor.at += 1
    return cursor.at > start


cdef inline bint pass_number(Cursor* cursor) noexcept nogil:
    take(cursor, 45)
    if not take(cursor, 48) and not pass_digits(cursor):
        return False
    if take(cursor, 46) and not pass_digits(cursor):
        return False
    if take(cursor, 101) or take(cursor, 69):
        if not take(cursor, 43):
            take(cursor, 45)
        return pass_digits(cursor)
    return True


cdef inline bint pass_string(Cursor* cursor) noexcept nogil:
    cdef const uint8_t* at = cursor.at + 1
    cdef uint64_t eight, care
    cdef int length
    while at < cursor.end:
        if cursor.end - at >= 8:
            memcpy(&eight, at, 8)
            care = care_of(eight)
            if care == 0:
                at += 8
                continue
            at += leading_bytes(care)
        if at[0] == 34:
            cursor.at = at + 1
            return True
        if at[0] == 92:
            length = escape_size(at, cursor.end)
        elif at[0] < 32:
            length = 0
        elif at[0] < 128:
            length = 1
        else:
            length = sequence_size(at, cursor.end)
        if length == 0:
            break
        at += length
    cursor.at = at
    return False


cdef inline int escape_size(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Bytes of the escape that begins here; 0 if it is none, or half of a pair of surrogates."""
    cdef int high, low
    cdef uint8_t letter
    if end - at < 2:
        return 0
    letter = at[1]
    if letter != 117:
        return 2 if letter in (34, 92, 47, 98, 102, 110, 114, 116) else 0
    high = four_digits(at + 2, end)
    if high < 0 or (high & 0xFC00) == 0xDC00:
        return 0
    if (high & 0xFC00) != 0xD800:
        return 6
    if end - at < 12 or at[6] != 92 or at[7] != 117:
        return 0
    low = four_digits(at + 8, end)
    return 12 if low >= 0 and (low & 0xFC00) == 0xDC00 else 0
