# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Line feeds found, and line ends taken off, compiled. The twins stand in line_ends.py."""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memchr, memcpy

cdef enum:
    LIKELY_LINE_BYTES = 64  # what is made room for at first; shorter lines cost a copy of the positions found


def find_byte(const uint8_t[::1] data, uint8_t wanted):
    """The positions of ``wanted`` in ``data``, int64."""
    cdef Py_ssize_t size = data.shape[0], room = size // LIKELY_LINE_BYTES + 16, count = 0
    positions = np.empty(room, np.int64)
    if not size:
        return positions[:0]
    cdef int64_t[::1] out = positions
    cdef const uint8_t* base = &data[0]
    cdef const uint8_t* end = base + size
    cdef const uint8_t* at = base
    while True:
        with nogil:
            while count < room:
                at = <const uint8_t*> memchr(at, wanted, end - at)
                if at == NULL:
                    break
                out[count] = at - base
                count += 1
                at += 1
        if count < room:
            return positions[:count]
        room = min(2 * room, size + 1)
        positions = np.concatenate((positions, np.empty(room - count, np.int64)))
        out = positions


def without_ends(const uint8_t[::1] text, const int64_t[::1] stops, int32_t[::1] offsets, uint8_t[::1] out):
    """Copies the lines of ``text``, which end at ``stops``, to ``out`` without their line ends (a line feed, a carriage
    return before it); fills ``offsets``, one more than there are lines. Returns the bytes copied."""
    cdef Py_ssize_t row, lines = stops.shape[0]
    cdef int64_t start = 0, end, used = 0
    cdef const uint8_t* base = &text[0] if text.shape[0] else NULL
    cdef uint8_t* target = &out[0] if out.shape[0] else NULL
    with nogil:
        for row in range(lines):
            end = stops[row]
            if end > start and base[end - 1] == 10:
                end -= 1
                if end > start and base[end - 1] == 13:
                    end -= 1
            offsets[row] = <int32_t> used
            if end > start:
                memcpy(target + used, base + start, end - start)
                used += end - start
            start = stops[row]
        offsets[lines] = <int32_t> used
    return used
