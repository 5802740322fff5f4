# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Lines cut into fields (``csv``, ``w3c``) and into pairs (``logfmt``), compiled.

The twins are ``Cutter.one`` in parsers/fields.py and ``pairs_of`` in parsers/logfmt.py. A line that a kernel
does not take (open quotes, rare escapes, a key that stands twice) is marked, and its twin has the last word.
"""

import numpy as np

from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memchr, memcmp, memcpy

cdef enum:
    REFUSED = -1
    MOST_PAIRS = 64  # beyond, comparing each key with each other costs more than the twin

cdef struct Out:
    uint8_t* content
    int32_t* ends    # ends[i] is where field i ends, ends[-1] is 0
    int32_t used
    int32_t count


def cut_lines(const int32_t[::1] offsets, const uint8_t[::1] data, const uint8_t[::1] delimiter, bint quotes):
    """Returns ``(counts, field offsets, bytes)``: how many fields each line has (-1: not taken), and all fields one
    after the other. An empty ``delimiter`` stands for any run of blanks."""
    cdef Py_ssize_t lines = offsets.shape[0] - 1, row
    cdef Out out
    cdef bint blanks = delimiter.shape[0] == 0
    cdef const uint8_t* base = &data[0] if data.shape[0] else <const uint8_t*> b""
    cdef const uint8_t* mark = <const uint8_t*> b" " if blanks else &delimiter[0]
    cdef int32_t mark_size = <int32_t> delimiter.shape[0], before_used, before_count
    cdef int32_t first = offsets[0], last = offsets[lines]
    counts_array = np.empty(lines, np.int32)
    ends_array = np.zeros(lines + separators(base, first, last, mark[0], blanks) + 1, np.int32)
    content_array = np.empty(last - first, np.uint8)
    cdef int32_t[::1] counts = counts_array, ends = ends_array
    cdef uint8_t[::1] content = content_array
    out.content = &content[0] if content.shape[0] else NULL
    out.ends = &ends[1] if ends.shape[0] > 1 else NULL
    out.used = out.count = 0
    with nogil:
        for row in range(lines):
            before_used, before_count = out.used, out.count
            if cut_line(base + offsets[row], offsets[row + 1] - offsets[row], mark, mark_size, quotes, &out):
                counts[row] = out.count - before_count
            else:
                counts[row] = REFUSED
                out.used, out.count = before_used, before_count
    return counts_array, ends_array[: out.count + 1], content_array[: out.used]


cdef Py_ssize_t separators(const uint8_t* s, int32_t at, int32_t end, uint8_t mark, bint blanks) noexcept nogil:
    """How many separators there may be at most."""
    cdef Py_ssize_t found = 0
    while at < end:
        found += s[at] == mark or (blanks and s[at] == b"\t")
        at += 1
    return found


cdef inline bint is_blank(uint8_t c) noexcept nogil:
    return c == b" " or c == b"\t"


cdef inline void take(Out* out, const uint8_t* s, int32_t start, int32_t end) noexcept nogil:
    if end > start:
        memcpy(out.content + out.used, s + start, end - start)
        out.used += end - start


cdef inline void close_field(Out* out) noexcept nogil:
    out.ends[out.count] = out.used
    out.count += 1


cdef inline int32_t separator_end(const uint8_t* s, int32_t at, int32_t n, const uint8_t* mark, int32_t size) noexcept nogil:
    """Where the separator that begins at ``at`` ends; ``at`` itself if there is none."""
    if size == 0:
        while at < n and is_blank(s[at]):
            at += 1
        return at
    if n - at >= size and s[at] == mark[0] and (size == 1 or memcmp(s + at, mark, size) == 0):
        return at + size
    return at


cdef int32_t plain_end(const uint8_t* s, int32_t at, int32_t n, const uint8_t* mark, int32_t size) noexcept nogil:
    """Where the next separator begins, or the line's end."""
    cdef const uint8_t* found
    if size == 0:
        while at < n and not is_blank(s[at]):
            at += 1
        return at
    while at < n:
        found = <const uint8_t*> memchr(s + at, mark[0], n - at)
        if found == NULL:
            return n
        at = <int32_t> (found - s)
        if separator_end(s, at, n, mark, size) > at:
            return at
        at += 1
    return n


cdef bint cut_line(const uint8_t* s, int32_t n, const uint8_t* mark, int32_t size, bint quotes, Out* out) noexcept nogil:
    cdef int32_t at = 0, end
    if size == 0:
        while n > 0 and is_blank(s[n - 1]):
            n -= 1
        while at < n and is_blank(s[at]):
            at += 1
    while True:
        if quotes and at < n and s[at] == b'"':
            end = quoted(s, at + 1, n, out)
            if end < 0:
                return False
        else:
            end = plain_end(s, at, n, mark, size)
            take(out, s, at, end)
        close_field(out)
        if end == n:
            return True
        at = separator_end(s, end, n, mark, size)
        if at == end:
            return False


cdef inline int32_t quoted(const uint8_t* s, int32_t at, int32_t n, Out* out) noexcept nogil:
    """Takes up to the closing quote; the position after it, or -1. Two quotes stand for one."""
    cdef const uint8_t* found
    cdef int32_t end
    while at < n:
        found = <const uint8_t*> memchr(s + at, b'"', n - at)
        if found == NULL:
            return -1
        end = <int32_t> (found - s)
        if end + 1 >= n or s[end + 1] != b'"':
            take(out, s, at, end)
            return end + 1
        take(out, s, at, end + 1)
        at = end + 2
    return -1


def pair_lines(const int32_t[::1] offsets, const uint8_t[::1] data):
    """Returns ``(taken, rows, key offsets, key bytes, value offsets, value bytes)``: whether each line was taken, and
    the pairs of those that were, with the line each is from."""
    cdef Py_ssize_t lines = offsets.shape[0] - 1, row
    cdef Out keys, values
    cdef const uint8_t* base = &data[0] if data.shape[0] else <const uint8_t*> b""
    cdef int32_t first = offsets[0], last = offsets[lines], pair, before_keys, before_values, before
    cdef Py_ssize_t most = separators(base, first, last, b"=", False)
    taken_array, rows_array = np.empty(lines, np.uint8), np.empty(most, np.int32)
    key_ends_array, value_ends_array = np.zeros(most + 2, np.int32), np.zeros(most + 2, np.int32)
    key_array, value_array = np.empty(last - first, np.uint8), np.empty(last - first, np.uint8)
    cdef uint8_t[::1] taken = taken_array, key_bytes = key_array, value_bytes = value_array
    cdef int32_t[::1] rows = rows_array, key_ends = key_ends_array, value_ends = value_ends_array
    keys.content = &key_bytes[0] if last > first else NULL
    values.content = &value_bytes[0] if last > first else NULL
    keys.ends, values.ends = &key_ends[1], &value_ends[1]
    keys.used = keys.count = values.used = values.count = 0
    with nogil:
        for row in range(lines):
            before, before_keys, before_values = keys.count, keys.used, values.used
            taken[row] = pair_line(base + offsets[row], offsets[row + 1] - offsets[row], &keys, &values)
            if not taken[row]:
                keys.count = values.count = before
                keys.used, values.used = before_keys, before_values
            for pair in range(before, keys.count):
                rows[pair] = <int32_t> row
    count = keys.count
    return (
        taken_array,
        rows_array[:count],
        key_ends_array[: count + 1],
        key_array[: keys.used],
        value_ends_array[: count + 1],
        value_array[: values.used],
    )


cdef bint pair_line(const uint8_t* s, int32_t n, Out* keys, Out* values) noexcept nogil:
    cdef int32_t at = 0, start, first = keys.count
    while True:
        while at < n and is_blank(s[at]):
            at += 1
        if at == n:
            return keys.count > first
        start = at
        while at < n and s[at] > 0x20 and s[at] != b"=" and s[at] != b'"':
            at += 1
        if at == start or at == n or s[at] != b"=":
            return False
        if not new_key(s + start, at - start, keys, first):
            return False
        at += 1
        if at < n and s[at] == b'"':
            at = escaped(s, at + 1, n, values)
            if at < 0 or (at < n and not is_blank(s[at])):
                return False
        else:
            start = at
            while at < n and not is_blank(s[at]):
                at += 1
            take(values, s, start, at)
        close_field(values)


cdef bint new_key(const uint8_t* s, int32_t size, Out* keys, int32_t first) noexcept nogil:
    """Takes a key, unless the line has it already, or has too many to tell."""
    cdef int32_t other, start
    if keys.count - first >= MOST_PAIRS:
        return False
    for other in range(first, keys.count):
        start = keys.ends[other - 1]
        if keys.ends[other] - start == size and memcmp(keys.content + start, s, size) == 0:
            return False
    take(keys, s, 0, size)
    close_field(keys)
    return True


cdef int32_t escaped(const uint8_t* s, int32_t at, int32_t n, Out* out) noexcept nogil:
    """Takes up to the closing quote; the position after it, or -1 also for escapes that are left to the twin."""
    cdef int32_t start = at
    cdef uint8_t plain
    while at < n and s[at] != b'"':
        if s[at] != b"\\":
            at += 1
            continue
        if at + 1 >= n:
            return -1
        plain = unescaped(s[at + 1])
        if plain == 0:
            return -1
        take(out, s, start, at)
        out.content[out.used] = plain
        out.used += 1
        at += 2
        start = at
    if at >= n:
        return -1
    take(out, s, start, at)
    return at + 1


cdef inline uint8_t unescaped(uint8_t letter) noexcept nogil:
    """What JSON's short escapes stand for; 0 for all others."""
    if letter == b'"' or letter == b"\\" or letter == b"/":
        return letter
    if letter == b"n":
        return 10
    if letter == b"t":
        return 9
    if letter == b"r":
        return 13
    if letter == b"b":
        return 8
    if letter == b"f":
        return 12
    return 0
