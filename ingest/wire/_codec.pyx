# cython: boundscheck=False, wraparound=False, cdivision=True, language_level=3
"""The compiled record codec: columns <-> the records section of a batch. Its oracle is ``codec_numpy``.

Both walk raw buffers that ``codec`` took out of Arrow arrays, with the GIL released. The decoder trusts no
length: each varint and each field is bounded by the end of its record, each record by the end of the section.
"""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

DEF MAX_VARINT = 10

cdef struct Binary:
    const uint8_t* data
    const int64_t* offsets      # n + 1 of them
    const uint8_t* nulls        # one byte each, 1 = null; NULL: none is


cdef inline int varint_size(int64_t value) noexcept nogil:
    cdef uint64_t number = (<uint64_t>value << 1) ^ <uint64_t>(value >> 63)
    cdef int size = 1
    while number > 0x7F:
        number >>= 7
        size += 1
    return size


cdef inline uint8_t* put_varint(uint8_t* out, int64_t value) noexcept nogil:
    cdef uint64_t number = (<uint64_t>value << 1) ^ <uint64_t>(value >> 63)
    while number > 0x7F:
        out[0] = <uint8_t>(number | 0x80)
        out += 1
        number >>= 7
    out[0] = <uint8_t>number
    return out + 1


cdef inline const uint8_t* get_varint(const uint8_t* at, const uint8_t* end, int64_t* value, int bits) noexcept nogil:
    """NULL if it runs past ``end`` or holds more than ``bits`` bits."""
    cdef uint64_t number = 0
    cdef int shift = 0
    cdef uint8_t byte
    while at < end and shift < bits:
        byte = at[0]
        at += 1
        number |= <uint64_t>(byte & 0x7F) << shift
        if byte < 0x80:
            if shift + 7 > bits and (byte >> (bits - shift)):
                return NULL
            value[0] = <int64_t>(number >> 1) ^ -<int64_t>(number & 1)
            return at
        shift += 7
    return NULL


cdef inline int64_t field_size(Binary* column, Py_ssize_t row) noexcept nogil:
    """Bytes of a key or value with its length before it."""
    cdef int64_t length
    if column.offsets == NULL or (column.nulls != NULL and column.nulls[row]):
        return 1
    length = column.offsets[row + 1] - column.offsets[row]
    return varint_size(length) + length


cdef inline uint8_t* put_field(uint8_t* out, Binary* column, Py_ssize_t row) noexcept nogil:
    cdef int64_t length
    if column.offsets == NULL or (column.nulls != NULL and column.nulls[row]):
        return put_varint(out, -1)
    length = column.offsets[row + 1] - column.offsets[row]
    out = put_varint(out, length)
    memcpy(out, column.data + column.offsets[row], length)
    return out + length


cdef inline void set_binary(Binary* column, const uint8_t[::1] data, const int64_t[::1] offsets, const uint8_t[::1] nulls) noexcept:
    column.data = &data[0] if data is not None and data.shape[0] else NULL
    column.offsets = &offsets[0] if offsets is not None else NULL
    column.nulls = &nulls[0] if nulls is not None and nulls.shape[0] else NULL


def encode_some(
    const uint8_t[::1] value_data, const int64_t[::1] value_offsets, const uint8_t[::1] value_nulls,
    const uint8_t[::1] key_data, const int64_t[::1] key_offsets, const uint8_t[::1] key_nulls,
    const int64_t[::1] timestamps,
    const uint8_t[::1] common, int common_count,
    const int64_t[::1] header_lists,
    const uint8_t[::1] name_data, const int64_t[::1] name_offsets,
    const uint8_t[::1] header_data, const int64_t[::1] header_offsets, const uint8_t[::1] header_nulls,
    Py_ssize_t start, Py_ssize_t stop, uint8_t[::1] out, Py_ssize_t out_start,
):
    """Writes records ``start``.. into ``out`` from ``out_start`` until ``stop`` or until the next does not fit.

    Returns (records written, end of the last one in ``out``, largest timestamp).
    """
    cdef Binary values, keys, names, header_values
    set_binary(&values, value_data, value_offsets, value_nulls)
    set_binary(&keys, key_data, key_offsets, key_nulls)
    set_binary(&names, name_data, name_offsets, None)
    set_binary(&header_values, header_data, header_offsets, header_nulls)
    cdef const int64_t* lists = &header_lists[0] if header_lists is not None else NULL
    cdef const uint8_t* common_bytes = &common[0] if common is not None and common.shape[0] else NULL
    cdef Py_ssize_t common_size = common.shape[0] if common is not None else 0
    cdef Py_ssize_t row = start, header, capacity = out.shape[0], used = out_start
    cdef int64_t body, base = timestamps[start] if stop > start else 0, largest = base, count
    cdef uint8_t* at
    with nogil:
        while row < stop:
            count = common_count
            if lists != NULL:
                count += lists[row + 1] - lists[row]
            body = (
                1 + varint_size(timestamps[row] - base) + varint_size(row - start)
                + field_size(&keys, row) + field_size(&values, row) + varint_size(count) + common_size
            )
            if lists != NULL:
                for header in range(lists[row], lists[row + 1]):
                    body += field_size(&names, header) + field_size(&header_values, header)
            if body + varint_size(body) > capacity - used:
                break
            at = put_varint(&out[used], body)
            at[0] = 0
            at = put_varint(at + 1, timestamps[row] - base)
            at = put_varint(at, row - start)
            at = put_field(at, &keys, row)
            at = put_field(at, &values, row)
            at = put_varint(at, count)
            if common_size:
                memcpy(at, common_bytes, common_size)
                at += common_size
            if lists != NULL:
                for header in range(lists[row], lists[row + 1]):
                    at = put_field(at, &names, header)
                    at = put_field(at, &header_values, header)
            used = at - &out[0]
            if timestamps[row] > largest:
                largest = timestamps[row]
            row += 1
    return row - start, used, largest


cdef struct Place:
    int64_t key_start
    int64_t key_size            # -1: null
    int64_t value_start
    int64_t value_size
    int64_t header_start
    int64_t header_count


cdef int scan(const uint8_t* data, Py_ssize_t size, Py_ssize_t count, int64_t last_delta, int64_t base_timestamp,
              int64_t base_offset, int64_t* timestamps, int64_t* offsets, Place* places, int64_t* totals,
              Py_ssize_t* failed) noexcept nogil:
    """Bounds and reads every field. 0 if all is well, else 1, and ``failed`` is the record."""
    cdef const uint8_t* at = data
    cdef const uint8_t* end = data + size
    cdef const uint8_t* stop
    cdef int64_t number, before = -1, header_count, header, length
    cdef Py_ssize_t row
    cdef Place* place
    for row in range(count):
        failed[0] = row
        place = &places[row]
        at = get_varint(at, end, &number, 32)
        if at == NULL or number < 6 or number > end - at:
            return 1
        stop = at + number
        at = get_varint(at + 1, stop, &number, 64)
        if at == NULL:
            return 1
        timestamps[row] = <int64_t>(<uint64_t>base_timestamp + <uint64_t>number)
        at = get_varint(at, stop, &number, 32)
        if at == NULL or number <= before or number > last_delta:
            return 1
        before = number
        offsets[row] = base_offset + number
        at = get_varint(at, stop, &length, 32)
        if at == NULL or length < -1 or length > stop - at:
            return 1
        place.key_start, place.key_size = at - data, length
        if length > 0:
            at += length
            totals[0] += length
        totals[1] += length < 0
        at = get_varint(at, stop, &length, 32)
        if at == NULL or length < -1 or length > stop - at:
            return 1
        place.value_start, place.value_size = at - data, length
        if length > 0:
            at += length
            totals[2] += length
        totals[3] += length < 0
        at = get_varint(at, stop, &header_count, 32)
        if at == NULL or header_count < 0 or header_count > (stop - at) // 2:
            return 1
        place.header_start, place.header_count = at - data, header_count
        totals[4] += header_count
        for header in range(header_count):
            at = get_varint(at, stop, &length, 32)
            if at == NULL or length < 0 or length > stop - at:
                return 1
            at += length
            totals[5] += length
            at = get_varint(at, stop, &length, 32)
            if at == NULL or length < -1 or length > stop - at:
                return 1
            if length > 0:
                at += length
                totals[6] += length
        if at != stop:
            return 1
    failed[0] = count
    return 0 if at == end else 1


def scan_records(const uint8_t[::1] section, Py_ssize_t count, int64_t last_delta, int64_t base_timestamp,
                 int64_t base_offset, int64_t[::1] timestamps, int64_t[::1] offsets, int64_t[:, ::1] places,
                 int64_t[::1] totals):
    """Fills timestamps, offsets, places (n x 6) and totals (7). Returns the bad record, or -1."""
    cdef Py_ssize_t failed = 0
    cdef int bad
    if count == 0:
        return -1 if section.shape[0] == 0 else 0
    if section.shape[0] == 0:
        return 0
    with nogil:
        bad = scan(&section[0], section.shape[0], count, last_delta, base_timestamp, base_offset,
                   &timestamps[0], &offsets[0], <Place*>&places[0, 0], &totals[0], &failed)
    return failed if bad else -1


ctypedef fused Offset:
    int32_t
    int64_t


def gather(const uint8_t[::1] section, const int64_t[:, ::1] places, int which, uint8_t[::1] data, Offset[::1] offsets,
           uint8_t[::1] valid):
    """Copies keys (``which`` 0) or values (2) out of the section; ``valid`` may be None."""
    cdef Py_ssize_t row, count = places.shape[0]
    cdef int64_t used = 0, size
    cdef uint8_t* out = &data[0] if data.shape[0] else NULL
    cdef const uint8_t* source = &section[0] if section.shape[0] else NULL
    cdef bint nullable = valid is not None
    with nogil:
        for row in range(count):
            offsets[row] = <Offset>used
            size = places[row, which + 1]
            if nullable:
                valid[row] = size >= 0
            if size > 0:
                memcpy(out + used, source + places[row, which], size)
                used += size
        offsets[count] = <Offset>used


def gather_headers(const uint8_t[::1] section, const int64_t[:, ::1] places, int32_t[::1] lists,
                   uint8_t[::1] names, int32_t[::1] name_offsets,
                   uint8_t[::1] values, int32_t[::1] value_offsets, uint8_t[::1] valid):
    """Copies all headers out of a section that ``scan_records`` has accepted."""
    cdef Py_ssize_t row, count = places.shape[0], number = 0
    cdef int64_t length, header
    cdef int32_t name_used = 0, value_used = 0
    cdef const uint8_t* base = &section[0]
    cdef const uint8_t* end = base + section.shape[0]
    cdef const uint8_t* at
    with nogil:
        for row in range(count):
            lists[row] = <int32_t>number
            at = base + places[row, 4]
            for header in range(places[row, 5]):
                name_offsets[number] = name_used
                value_offsets[number] = value_used
                at = get_varint(at, end, &length, 32)
                if length > 0:
                    memcpy(&names[name_used], at, length)
                    name_used += <int32_t>length
                    at += length
                at = get_varint(at, end, &length, 32)
                valid[number] = length >= 0
                if length > 0:
                    memcpy(&values[value_used], at, length)
                    value_used += <int32_t>length
                    at += length
                number += 1
        lists[count] = <int32_t>number
        name_offsets[number] = name_used
        value_offsets[number] = value_used


def murmur2(const uint8_t[::1] data, const int64_t[::1] offsets, int32_t[::1] out):
    """Kafka's murmur2 of each of n keys (seed 0x9747b28c), as signed 32-bit numbers."""
    cdef Py_ssize_t row, count = out.shape[0]
    cdef const uint8_t* base = &data[0] if data.shape[0] else NULL
    cdef const uint8_t* at
    cdef uint32_t mixed, part
    cdef int64_t length, left
    with nogil:
        for row in range(count):
            length = offsets[row + 1] - offsets[row]
            at = base + offsets[row]
            mixed = <uint32_t>0x9747B28C ^ <uint32_t>length
            left = length
            while left >= 4:
                part = at[0] | (<uint32_t>at[1] << 8) | (<uint32_t>at[2] << 16) | (<uint32_t>at[3] << 24)
                part *= <uint32_t>0x5BD1E995
                part ^= part >> 24
                part *= <uint32_t>0x5BD1E995
                mixed *= <uint32_t>0x5BD1E995
                mixed ^= part
                at += 4
                left -= 4
            if left == 3:
                mixed ^= <uint32_t>at[2] << 16
            if left >= 2:
                mixed ^= <uint32_t>at[1] << 8
            if left >= 1:
                mixed ^= at[0]
                mixed *= <uint32_t>0x5BD1E995
            mixed ^= mixed >> 13
            mixed *= <uint32_t>0x5BD1E995
            mixed ^= mixed >> 15
            out[row] = <int32_t>mixed


def thin_records(const uint8_t[::1] section, const uint8_t[::1] keep, int64_t shift, uint8_t[::1] out):
    """Copies the records that ``keep`` marks, ``shift`` added to their timestamp deltas. Returns the bytes written.

    -1 if the section is no row of ``len(keep)`` records. ``out`` has room for the section and 10 bytes a record more.
    """
    cdef Py_ssize_t row, count = keep.shape[0]
    cdef const uint8_t* at = &section[0] if section.shape[0] else NULL
    cdef const uint8_t* end = at + section.shape[0]
    cdef const uint8_t* stop
    cdef const uint8_t* rest
    cdef uint8_t* start = &out[0] if out.shape[0] else NULL
    cdef uint8_t* to = start
    cdef int64_t length, delta
    cdef uint8_t attributes
    with nogil:
        for row in range(count):
            at = get_varint(at, end, &length, 32)
            if at == NULL or length < 6 or length > end - at:
                to = NULL
                break
            stop = at + length
            if keep[row]:
                attributes = at[0]
                rest = get_varint(at + 1, stop, &delta, 64)
                if rest == NULL:
                    to = NULL
                    break
                delta = <int64_t>(<uint64_t>delta + <uint64_t>shift)
                to = put_varint(to, 1 + varint_size(delta) + (stop - rest))
                to[0] = attributes
                to = put_varint(to + 1, delta)
                memcpy(to, rest, stop - rest)
                to += stop - rest
            at = stop
    if count and (to == NULL or at != end):
        return -1
    return to - start if count else 0
