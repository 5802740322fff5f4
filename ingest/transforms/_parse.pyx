# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Access-log lines to columns, compiled; the twin is parsers/access_log_twin.py and must agree line by line.

Two passes: the first finds where each field lies and parses numbers and times, the second copies the
texts into one buffer per column, whose sizes are then known. Both run without the interpreter's lock.
"""

import numpy as np

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t
from libc.string cimport memchr, memcmp, memcpy

cdef enum:
    HOST, IDENT, USER, METHOD, PATH, PROTOCOL, REFERER, USER_AGENT, REST, TEXTS
    TIME_BYTES = 26  # 20/Jul/2009:22:59:26 +0000
    BLOCK = 1024     # lines copied at a time: they are still in the cache
    ABSENT = -1

cdef struct Line:
    int32_t start[9]
    int32_t length[9]
    int64_t time
    int64_t size
    int32_t status
    bint has_status
    bint has_size

cdef struct LastTime:
    const uint8_t* text
    int64_t value

cdef const char* MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"
cdef int* DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


def access_lines(const int32_t[::1] offsets, const uint8_t[::1] data, bint combined):
    """Returns ``(parsed, times, statuses, has_status, sizes, has_size, texts)``: numpy arrays with one
    element a line, ``texts`` a list of ``(offsets, bytes, present)`` in the order of the enum above.
    Where ``parsed`` is 0 the rest is empty."""
    cdef Py_ssize_t count = offsets.shape[0] - 1, row, column
    starts_array = np.empty((TEXTS, count), np.int32)
    lengths_array = np.empty((TEXTS, count), np.int32)
    parsed_array = np.empty(count, np.uint8)
    times_array = np.empty(count, np.int64)
    statuses_array = np.empty(count, np.int32)
    has_status_array = np.empty(count, np.uint8)
    sizes_array = np.empty(count, np.int64)
    has_size_array = np.empty(count, np.uint8)
    cdef int32_t[:, ::1] starts = starts_array, lengths = lengths_array
    cdef uint8_t[::1] parsed = parsed_array, has_status = has_status_array, has_size = has_size_array
    cdef int64_t[::1] times = times_array, sizes = sizes_array
    cdef int32_t[::1] statuses = statuses_array
    cdef const uint8_t* base = &data[0] if data.shape[0] else <const uint8_t*> b""
    cdef Line line
    cdef LastTime last
    last.text = NULL
    last.value = 0
    with nogil:
        for row in range(count):
            parsed[row] = parse_line(base + offsets[row], offsets[row + 1] - offsets[row], combined, &line, &last)
            if not parsed[row]:
                clear(&line)
            for column in range(TEXTS):
                starts[column, row] = offsets[row] + line.start[column]
                lengths[column, row] = line.length[column]
            times[row] = line.time
            statuses[row] = line.status
            has_status[row] = line.has_status
            sizes[row] = line.size
            has_size[row] = line.has_size
    texts = gather(base, starts, lengths)
    return parsed_array, times_array, statuses_array, has_status_array, sizes_array, has_size_array, texts


cdef list gather(const uint8_t* base, int32_t[:, ::1] starts, int32_t[:, ::1] lengths):
    """Copies the texts, column by column within blocks of lines."""
    cdef Py_ssize_t count = starts.shape[1], row, column, begin, end
    cdef uint8_t* targets[9]
    cdef int32_t* ends[9]
    cdef int32_t[::1] offsets
    cdef uint8_t[::1] present, content
    cdef int64_t total
    found = []
    for column in range(TEXTS):
        offsets_array = np.empty(count + 1, np.int32)
        present_array = np.empty(count, np.uint8)
        offsets, present = offsets_array, present_array
        ends[column] = &offsets[0]
        with nogil:
            total = 0
            offsets[0] = 0
            for row in range(count):
                present[row] = lengths[column, row] != ABSENT
                if present[row]:
                    total += lengths[column, row]
                offsets[row + 1] = <int32_t> total
        content_array = np.empty(total, np.uint8)
        content = content_array
        targets[column] = &content[0] if total else NULL
        found.append((offsets_array, content_array, present_array))
    with nogil:
        begin = 0
        while begin < count:
            end = min(begin + BLOCK, count)
            for column in range(TEXTS):
                for row in range(begin, end):
                    if lengths[column, row] > 0:
                        memcpy(targets[column] + ends[column][row], base + starts[column, row], lengths[column, row])
            begin = end
    return found


cdef inline void clear(Line* line) noexcept nogil:
    cdef int column
    for column in range(TEXTS):
        line.start[column] = 0
        line.length[column] = ABSENT
    line.time = line.size = line.status = 0
    line.has_status = line.has_size = False


cdef inline void put(Line* line, int column, int32_t start, int32_t end) noexcept nogil:
    line.start[column] = start
    line.length[column] = end - start


cdef bint parse_line(const uint8_t* s, int32_t n, bint combined, Line* line, LastTime* last) noexcept nogil:
    cdef int32_t at = 0, start
    cdef int column
    clear(line)
    for column in range(HOST, USER + 1):  # three words, each followed by a space
        start = at
        at = word_end(s, at, n)
        if at == start or at >= n or s[at] != b" ":
            return False
        put(line, column, start, at)
        at += 1
    if n - at < TIME_BYTES + 4 or s[at] != b"[":
        return False
    if not parse_time(s + at + 1, last):
        return False
    line.time = last.value
    at += TIME_BYTES + 1
    if s[at] != b"]" or s[at + 1] != b" " or s[at + 2] != b'"':
        return False
    start = at + 3
    at = quote_end(s, start, n)
    if at < 0:
        return False
    split_request(s, start, at, line)
    at = parse_status(s, at + 1, n, line)
    if at < 0:
        return False
    at = parse_size(s, at, n, line)
    if at < 0:
        return False
    if combined:
        for column in range(REFERER, USER_AGENT + 1):
            if n - at < 3 or s[at] != b" " or s[at + 1] != b'"':
                return False
            start = at + 2
            at = quote_end(s, start, n)
            if at < 0:
                return False
            put(line, column, start, at)
            at += 1
    if at < n:
        if s[at] != b" ":
            return False
        if at + 1 < n:
            put(line, REST, at + 1, n)
    return True


cdef inline int32_t word_end(const uint8_t* s, int32_t at, int32_t n) noexcept nogil:
    """Words are runs of bytes above the space: neither blanks nor control characters."""
    while at < n and s[at] > 0x20:
        at += 1
    return at


cdef inline int32_t quote_end(const uint8_t* s, int32_t start, int32_t n) noexcept nogil:
    """Where the closing quote stands, or -1; a quote after an odd number of backslashes is a character."""
    cdef int32_t at = start, back
    cdef const uint8_t* found
    while at < n:
        found = <const uint8_t*> memchr(s + at, b'"', n - at)
        if found == NULL:
            return -1
        at = <int32_t> (found - s)
        back = at
        while back > start and s[back - 1] == b"\\":
            back -= 1
        if (at - back) % 2 == 0:
            return at
        at += 1
    return -1


cdef inline void split_request(const uint8_t* s, int32_t start, int32_t end, Line* line) noexcept nogil:
    cdef int32_t first = word_end(s, start, end), second, third
    if first > start and first < end and s[first] == b" ":
        second = word_end(s, first + 1, end)
        if second > first + 1 and second < end and s[second] == b" ":
            third = word_end(s, second + 1, end)
            if third == end and third > second + 1:
                put(line, METHOD, start, first)
                put(line, PATH, first + 1, second)
                put(line, PROTOCOL, second + 1, end)
                return
    put(line, PATH, start, end)


cdef inline bint is_digit(uint8_t c) noexcept nogil:
    return b"0" <= c <= b"9"


cdef inline int32_t parse_status(const uint8_t* s, int32_t at, int32_t n, Line* line) noexcept nogil:
    """`` 200 `` or `` - ``: the position after the second space, or -1."""
    if n - at >= 5 and s[at] == b" " and is_digit(s[at + 1]) and is_digit(s[at + 2]) and is_digit(s[at + 3]):
        line.status = (s[at + 1] - 48) * 100 + (s[at + 2] - 48) * 10 + (s[at + 3] - 48)
        line.has_status = True
        return at + 5 if s[at + 4] == b" " else -1
    if n - at >= 3 and s[at] == b" " and s[at + 1] == b"-" and s[at + 2] == b" ":
        return at + 3
    return -1


cdef inline int32_t parse_size(const uint8_t* s, int32_t at, int32_t n, Line* line) noexcept nogil:
    """Digits that fit 63 bits, or ``-``: the position after them, or -1."""
    cdef int32_t start = at
    cdef int64_t value = 0
    cdef int digit
    if at < n and s[at] == b"-":
        return at + 1
    while at < n and is_digit(s[at]):
        digit = s[at] - 48
        if value > (INT64_MAX - digit) // 10:
            return -1
        value = value * 10 + digit
        at += 1
    if at == start:
        return -1
    line.size = value
    line.has_size = True
    return at


cdef inline int number(const uint8_t* s, int digits) noexcept nogil:
    cdef int value = 0, at
    for at in range(digits):
        if not is_digit(s[at]):
            return -1
        value = value * 10 + s[at] - 48
    return value


cdef bint parse_time(const uint8_t* s, LastTime* last) noexcept nogil:
    """``s`` has at least TIME_BYTES bytes. Neighbouring lines mostly share their second: the last is kept."""
    cdef int day, month, year, hour, minute, second, zone_hour, zone_minute
    cdef int64_t seconds
    if last.text != NULL and memcmp(s, last.text, TIME_BYTES) == 0:
        return True
    if s[2] != b"/" or s[6] != b"/" or s[11] != b":" or s[14] != b":" or s[17] != b":" or s[20] != b" ":
        return False
    if s[21] != b"+" and s[21] != b"-":
        return False
    day, year = number(s, 2), number(s + 7, 4)
    hour, minute, second = number(s + 12, 2), number(s + 15, 2), number(s + 18, 2)
    zone_hour, zone_minute = number(s + 22, 2), number(s + 24, 2)
    month = month_of(s + 3)
    if month < 0 or year < 1 or day < 1 or day > days_in(month, year):
        return False
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 60:
        return False
    if zone_hour < 0 or zone_hour > 23 or zone_minute < 0 or zone_minute > 59:
        return False
    seconds = days_from_epoch(year, month + 1, day) * 86400 + hour * 3600 + minute * 60 + second
    if s[21] == b"+":
        seconds -= zone_hour * 3600 + zone_minute * 60
    else:
        seconds += zone_hour * 3600 + zone_minute * 60
    last.text = s
    last.value = seconds * 1000
    return True


cdef inline int month_of(const uint8_t* s) noexcept nogil:
    cdef int month
    for month in range(12):
        if memcmp(s, MONTHS + 3 * month, 3) == 0:
            return month
    return -1


cdef inline int days_in(int month, int year) noexcept nogil:
    if month == 1 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):
        return 29
    return DAYS[month]


cdef inline int64_t days_from_epoch(int year, int month, int day) noexcept nogil:
    """Days since 1970-01-01 in the Gregorian calendar; the year is taken to begin in March."""
    cdef int64_t y = year - (month <= 2), era, of_era, of_year
    era = y // 400
    of_era = y - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
