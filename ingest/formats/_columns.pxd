# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, language_level=3
"""Columns that a database's kernel fills: values of a fixed size at once, of texts first where they lie."""

import numpy as np

from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    typedef unsigned __int128 ingest_uint128;
    """
    ctypedef unsigned long long uint128 "ingest_uint128"

cdef enum:
    BLOCK = 1024            # rows whose texts are copied column by column, while they are in the cache

cdef struct Column:
    int kind
    int scale
    int width               # 0 for texts
    uint8_t* values
    uint8_t* present
    int64_t* starts         # of texts
    int32_t* lengths


cdef inline tuple prepared(Column* column, int width, Py_ssize_t count):
    """Room for ``count`` values: (values, present), or (starts, lengths, present) if they have no fixed width."""
    cdef uint8_t[::1] present, values
    cdef int64_t[::1] starts
    cdef int32_t[::1] lengths
    column.width = width
    present_array = np.zeros(count + 1, np.uint8)
    present = present_array
    column.present = &present[0]
    if width == 0:
        starts_array, lengths_array = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int32)
        starts, lengths = starts_array, lengths_array
        column.starts, column.lengths = &starts[0], &lengths[0]
        return starts_array, lengths_array, present_array
    values_array = np.zeros((count + 1) * width, np.uint8)
    values = values_array
    column.values = &values[0]
    return values_array[: count * width], present_array[:count]


cdef inline tuple offsets_of(Column* column, Py_ssize_t count, tuple found):
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
    return offsets_array, np.empty(total, np.uint8), present[:count], starts, lengths


cdef inline void copy_texts(const uint8_t* data, Column* columns, int fields, Py_ssize_t count, uint8_t** targets) noexcept nogil:
    """``targets`` holds for each column where its texts go, NULL for none."""
    cdef Py_ssize_t row, begin = 0, end
    cdef int field
    cdef Column* column
    while begin < count:
        end = min(begin + BLOCK, count)
        for field in range(fields):
            if targets[field] == NULL:
                continue
            column = &columns[field]
            for row in range(begin, end):
                if column.lengths[row] > 0:
                    memcpy(targets[field], data + column.starts[row], column.lengths[row])
                    targets[field] += column.lengths[row]
        begin = end


cdef inline uint64_t little(const uint8_t* at, int width) noexcept nogil:
    cdef uint64_t value = 0
    memcpy(&value, at, width)
    return value


cdef inline int64_t days_of(int year, int month, int day) noexcept nogil:
    """Since 1970-01-01, in the Gregorian calendar for all years."""
    cdef int64_t era, of_era, of_year
    cdef int64_t y = year - (1 if month <= 2 else 0)
    era = (y if y >= 0 else y - 399) // 400
    of_era = y - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


cdef inline bint is_date(int year, int month, int day) noexcept nogil:
    """Whether the calendar has it: servers may hold 0000-00-00, 2026-00-10 and 2026-02-31."""
    cdef int last = 31
    if month < 1 or month > 12 or day < 1:
        return False
    if month == 2:
        last = 29 if (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)) else 28
    elif month == 4 or month == 6 or month == 9 or month == 11:
        last = 30
    return day <= last


cdef inline bint is_utf8(const uint8_t* at, int64_t length) noexcept nogil:
    """As Arrow and Python understand it: no surrogates, nothing longer than it must be."""
    cdef const uint8_t* end = at + length
    cdef uint64_t eight
    cdef uint8_t lead
    while at < end:
        while end - at >= 8:
            memcpy(&eight, at, 8)
            if eight & 0x8080808080808080ULL:
                break
            at += 8
        if at >= end:
            return True
        lead = at[0]
        if lead < 0x80:
            at += 1
        elif lead < 0xC2:
            return False
        elif lead < 0xE0:
            if end - at < 2 or at[1] & 0xC0 != 0x80:
                return False
            at += 2
        elif lead < 0xF0:
            if end - at < 3 or at[1] & 0xC0 != 0x80 or at[2] & 0xC0 != 0x80:
                return False
            if (lead == 0xE0 and at[1] < 0xA0) or (lead == 0xED and at[1] > 0x9F):
                return False
            at += 3
        else:
            if lead > 0xF4 or end - at < 4:
                return False
            if at[1] & 0xC0 != 0x80 or at[2] & 0xC0 != 0x80 or at[3] & 0xC0 != 0x80:
                return False
            if (lead == 0xF0 and at[1] < 0x90) or (lead == 0xF4 and at[1] > 0x8F):
                return False
            at += 4
    return True
