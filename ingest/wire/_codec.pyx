# cython: boundscheck=False, wraparound=False, cdivision=True, language_level=3
"""The compiled record codec: columns <-> the records section of a batch. Its oracle is ``codec_numpy``.

``Encoder`` reads Arrow's buffers by address and trusts them: the arrays must be valid, and their owner must keep them.
``scan`` trusts nothing: each number and each field is bounded by the end of its record, each record by the end of the
section. ``gather`` and ``gather_headers`` may only follow a ``scan`` that found nothing wrong. All release the GIL.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize, PyByteArray_Resize
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memmove

cdef extern from *:
    """
    static inline int unsigned_varint_size(unsigned long long number) {
    #if defined(__GNUC__)
        return ((63 - __builtin_clzll(number | 1)) * 9 + 73) / 64;
    #else
        int size = 1;
        while (number > 0x7F) { number >>= 7; size++; }
        return size;
    #endif
    }
    """
    int unsigned_varint_size(uint64_t number) nogil


cdef inline uint64_t zigzag(int64_t value) noexcept nogil:
    return (<uint64_t>value << 1) ^ <uint64_t>(value >> 63)


cdef inline int varint_size(int64_t value) noexcept nogil:
    return unsigned_varint_size(zigzag(value))


cdef inline uint8_t* put_varint(uint8_t* out, int64_t value) noexcept nogil:
    cdef uint64_t number = zigzag(value)
    while number > 0x7F:
        out[0] = <uint8_t>(number | 0x80)
        out += 1
        number >>= 7
    out[0] = <uint8_t>number
    return out + 1


cdef inline const uint8_t* get_varint(const uint8_t* at, const uint8_t* end, int64_t* value, int bits) noexcept nogil:
    """Where the number ends; NULL if it runs past ``end`` or holds more than ``bits`` bits."""
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


cdef inline const uint8_t* get_size(const uint8_t* at, const uint8_t* end, int64_t* size, int64_t least) noexcept nogil:
    """A length between ``least`` and what is left before ``end``; NULL if it is not."""
    at = get_varint(at, end, size, 32)
    if at == NULL or size[0] < least or size[0] > end - at:
        return NULL
    return at


# ---- encoding

cdef struct Binary:
    const uint8_t* data
    const int32_t* narrow       # offsets, of binary and string; NULL in an absent column
    const int64_t* wide         # offsets, of their large kinds
    const uint8_t* validity     # a bit for each row; NULL: none is null
    int64_t first               # row 0 of the array is this one of its buffers


cdef inline bint is_null(const Binary* column, int64_t row) noexcept nogil:
    if column.validity == NULL:
        return column.narrow == NULL and column.wide == NULL
    row += column.first
    return not (column.validity[row >> 3] >> (row & 7)) & 1


cdef inline int64_t offset_of(const Binary* column, int64_t row) noexcept nogil:
    row += column.first
    return column.narrow[row] if column.wide == NULL else column.wide[row]


cdef inline int64_t field_size(const Binary* column, int64_t row) noexcept nogil:
    """Bytes of a field with its length before it."""
    cdef int64_t length
    if is_null(column, row):
        return 1
    length = offset_of(column, row + 1) - offset_of(column, row)
    return varint_size(length) + length


cdef inline uint8_t* put_field(uint8_t* out, const Binary* column, int64_t row) noexcept nogil:
    cdef int64_t start, length
    if is_null(column, row):
        out[0] = 1      # the varint of -1
        return out + 1
    start = offset_of(column, row)
    length = offset_of(column, row + 1) - start
    out = put_varint(out, length)
    memcpy(out, column.data + start, length)
    return out + length


cdef void set_column(Binary* column, object addresses) except *:
    """From what ``arrow_buffers.addresses`` gives; None is an absent column, all null."""
    column.data, column.narrow, column.wide, column.validity, column.first = NULL, NULL, NULL, NULL, 0
    if addresses is None:
        return
    data, offsets, validity, first, wide = addresses
    column.data = <const uint8_t*><uintptr_t>data
    column.validity = <const uint8_t*><uintptr_t>validity
    column.first = first
    if wide:
        column.wide = <const int64_t*><uintptr_t>offsets
    else:
        column.narrow = <const int32_t*><uintptr_t>offsets


cdef struct Columns:
    Binary values
    Binary keys
    Binary lists                # its rows are ranges of names and header values
    Binary names
    Binary header_values
    const int64_t* timestamps
    const int64_t* offsets      # NULL: counted
    const uint8_t* common       # the headers that all records have, as bytes
    int64_t common_size
    int64_t common_count


cdef enum:
    MOST_NUMBERS = 36           # bytes: length, key and value size, offset, header count of up to 5, time of up to 10, attributes
    MOST_HEADER_NUMBERS = 10


cdef inline int64_t bytes_of(const Binary* column, int64_t start, int64_t stop) noexcept nogil:
    """At least as many as these rows hold (a null row may have some that do not count)."""
    if column.narrow == NULL and column.wide == NULL:
        return 0
    return offset_of(column, stop) - offset_of(column, start)


cdef inline int64_t bound(const Columns* columns, int64_t start, int64_t stop) noexcept nogil:
    """At least as many bytes as these records take."""
    cdef int64_t size = bytes_of(&columns.keys, start, stop) + bytes_of(&columns.values, start, stop)
    cdef int64_t first, last
    size += (stop - start) * (MOST_NUMBERS + columns.common_size)
    if columns.lists.narrow != NULL:
        first, last = offset_of(&columns.lists, start), offset_of(&columns.lists, stop)
        size += bytes_of(&columns.names, first, last) + bytes_of(&columns.header_values, first, last)
        size += (last - first) * MOST_HEADER_NUMBERS
    return size


cdef inline int64_t own_headers(const Columns* columns, int64_t row) noexcept nogil:
    """How many headers a record has besides the common ones."""
    return 0 if is_null(&columns.lists, row) else bytes_of(&columns.lists, row, row + 1)


cdef int64_t body_size(const Columns* columns, int64_t row, int64_t offset, int64_t timestamp) noexcept nogil:
    """Bytes of a record after its length; ``offset`` and ``timestamp`` are differences."""
    cdef int64_t own = own_headers(columns, row), header, first
    cdef int64_t size = (
        1 + varint_size(timestamp) + varint_size(offset) + field_size(&columns.keys, row)
        + field_size(&columns.values, row) + varint_size(columns.common_count + own) + columns.common_size
    )
    if own:
        first = offset_of(&columns.lists, row)
        for header in range(first, first + own):
            size += field_size(&columns.names, header) + field_size(&columns.header_values, header)
    return size


cdef inline uint8_t* put_body(uint8_t* out, const Columns* columns, int64_t row, int64_t offset,
                              int64_t timestamp) noexcept nogil:
    cdef int64_t own = own_headers(columns, row), header, first
    out[0] = 0      # attributes: none are defined
    out = put_varint(out + 1, timestamp)
    out = put_varint(out, offset)
    out = put_field(out, &columns.keys, row)
    out = put_field(out, &columns.values, row)
    out = put_varint(out, columns.common_count + own)
    if columns.common_size:
        memcpy(out, columns.common, columns.common_size)
        out += columns.common_size
    if own:
        first = offset_of(&columns.lists, row)
        for header in range(first, first + own):
            out = put_field(out, &columns.names, header)
            out = put_field(out, &columns.header_values, header)
    return out


cdef Py_ssize_t put_records(const Columns* columns, int64_t start, int64_t rows, int64_t base_offset,
                            int64_t base_timestamp, uint8_t* out, int64_t capacity, int64_t* used) noexcept nogil:
    """Writes records until one does not fit; returns it.

    The length stands before a body whose size is known only after it was written: room is left for the length of the
    record before, and the body moved in the rare case that this was wrong. Sizes are counted only near the end.
    """
    cdef int64_t row, offset, timestamp, size
    cdef int prefix = 1
    cdef uint8_t* at = out
    cdef uint8_t* body
    for row in range(start, rows):
        offset = row - start if columns.offsets == NULL else columns.offsets[row] - base_offset
        # Wraps where the two lie too far apart for 64 bits, as the decoder's sum does.
        timestamp = <int64_t>(<uint64_t>columns.timestamps[row] - <uint64_t>base_timestamp)
        if bound(columns, row, row + 1) > capacity - (at - out):
            size = body_size(columns, row, offset, timestamp)
            prefix = varint_size(size)
            if prefix + size > capacity - (at - out):
                used[0] = at - out
                return row
        body = at + prefix
        size = put_body(body, columns, row, offset, timestamp) - body
        if varint_size(size) != prefix:
            prefix = varint_size(size)
            memmove(at + prefix, body, size)
        at = put_varint(at, size) + size
    used[0] = at - out
    return rows


cdef class Encoder:
    """Columns about to become batches. ``owner`` keeps the memory that the addresses point to."""

    cdef Columns columns
    cdef object owner
    cdef bytes common
    cdef const int64_t[::1] timestamps
    cdef const int64_t[::1] offsets

    def __init__(self, owner, values, keys, const int64_t[::1] timestamps, const int64_t[::1] offsets,
                 bytes common, int64_t common_count, lists, names, header_values):
        self.owner, self.common, self.timestamps, self.offsets = owner, common, timestamps, offsets
        set_column(&self.columns.values, values)
        set_column(&self.columns.keys, keys)
        set_column(&self.columns.lists, lists)
        set_column(&self.columns.names, names)
        set_column(&self.columns.header_values, header_values)
        self.columns.timestamps = &timestamps[0] if timestamps.shape[0] else NULL
        self.columns.offsets = &offsets[0] if offsets is not None and offsets.shape[0] else NULL
        self.columns.common, self.columns.common_size, self.columns.common_count = common, len(common), common_count

    def encode(self, Py_ssize_t start, Py_ssize_t limit, Py_ssize_t room, int64_t base_offset, int64_t base_timestamp):
        """As many records from ``start`` as fit into ``limit`` bytes, in a bytearray with ``room`` bytes left before.

        Returns (bytearray, records in it, largest timestamp). The bytes before the records are not set.
        """
        cdef Py_ssize_t stop, row, rows = self.timestamps.shape[0]
        cdef int64_t used = 0, largest = self.timestamps[start] if start < rows else -1
        cdef int64_t capacity = min(max(limit - room, 0), bound(&self.columns, start, rows))
        batch = PyByteArray_FromStringAndSize(NULL, room + capacity)
        cdef uint8_t* out = <uint8_t*>PyByteArray_AS_STRING(batch) + room
        with nogil:
            stop = put_records(&self.columns, start, rows, base_offset, base_timestamp, out, capacity, &used)
            for row in range(start, stop):
                largest = max(largest, self.columns.timestamps[row])
        PyByteArray_Resize(batch, room + used)
        return batch, stop - start, largest


# ---- decoding

cdef struct Totals:
    int64_t key_bytes
    int64_t key_nulls
    int64_t value_bytes
    int64_t value_nulls
    int64_t headers
    int64_t name_bytes
    int64_t header_bytes


cdef const uint8_t* scan_headers(const uint8_t* at, const uint8_t* stop, int64_t count, Totals* totals) noexcept nogil:
    cdef int64_t header, length
    for header in range(count):
        at = get_size(at, stop, &length, 0)
        if at == NULL:
            return NULL
        at += length
        totals.name_bytes += length
        at = get_size(at, stop, &length, -1)
        if at == NULL:
            return NULL
        if length > 0:
            at += length
            totals.header_bytes += length
    totals.headers += count
    return at


def scan(const uint8_t[::1] section, Py_ssize_t count, int64_t last_delta, int64_t base_timestamp, int64_t base_offset,
         int64_t[::1] timestamps, int64_t[::1] offsets,
         int32_t[::1] key_starts, int32_t[::1] key_offsets, int32_t[::1] value_starts, int32_t[::1] value_offsets):
    """Bounds and reads all of a section of less than 2 GiB.

    Fills, for each record, its times and offsets, where key and value start in the section (-1: null), and the
    offsets (n + 1) that they will have in their arrays. Returns (the record that cannot be read or -1, the totals).
    """
    cdef const uint8_t* base = &section[0] if section.shape[0] else NULL
    cdef const uint8_t* at = base
    cdef const uint8_t* end = base + section.shape[0]
    cdef const uint8_t* stop
    cdef int64_t number = 0, before = -1, length = 0
    cdef Py_ssize_t row = 0
    cdef Totals totals
    totals.key_bytes = totals.key_nulls = totals.value_bytes = totals.value_nulls = 0
    totals.headers = totals.name_bytes = totals.header_bytes = 0
    with nogil:
        while row < count:
            at = get_size(at, end, &length, 6)
            if at == NULL:
                break
            stop = at + length
            at = get_varint(at + 1, stop, &number, 64)
            if at == NULL:
                break
            timestamps[row] = <int64_t>(<uint64_t>base_timestamp + <uint64_t>number)
            at = get_varint(at, stop, &number, 32)
            if at == NULL or number <= before or number > last_delta:
                break
            before = number
            offsets[row] = base_offset + number

            at = get_size(at, stop, &length, -1)
            if at == NULL:
                break
            key_offsets[row] = <int32_t>totals.key_bytes
            if length < 0:
                totals.key_nulls += 1
                key_starts[row] = -1
            else:
                key_starts[row] = <int32_t>(at - base)
                totals.key_bytes += length
                at += length

            at = get_size(at, stop, &length, -1)
            if at == NULL:
                break
            value_offsets[row] = <int32_t>totals.value_bytes
            if length < 0:
                totals.value_nulls += 1
                value_starts[row] = -1
            else:
                value_starts[row] = <int32_t>(at - base)
                totals.value_bytes += length
                at += length

            at = get_varint(at, stop, &number, 32)
            if at == NULL or number < 0 or number > (stop - at) // 2:
                break
            if number:
                at = scan_headers(at, stop, number, &totals)
            if at != stop:
                break
            row += 1
        key_offsets[row] = <int32_t>totals.key_bytes
        value_offsets[row] = <int32_t>totals.value_bytes
    bad = -1 if row == count and at == end else row
    return bad, totals


def gather(const uint8_t[::1] section, const int32_t[::1] starts, const int32_t[::1] offsets, uint8_t[::1] data,
           uint8_t[::1] validity):
    """Copies keys or values out of the section; ``validity`` (zeroed bits) may be None."""
    cdef Py_ssize_t row, count = starts.shape[0]
    cdef bint nullable = validity is not None
    cdef const uint8_t* source = &section[0] if section.shape[0] else NULL
    cdef uint8_t* out = &data[0] if data.shape[0] else NULL
    with nogil:
        for row in range(count):
            if starts[row] < 0:
                continue
            if nullable:
                validity[row >> 3] |= <uint8_t>(1 << (row & 7))
            if offsets[row + 1] > offsets[row]:
                memcpy(out + offsets[row], source + starts[row], offsets[row + 1] - offsets[row])


cdef inline const uint8_t* copy_field(const uint8_t* at, const uint8_t* end, uint8_t* out, int32_t* used,
                                      bint* null) noexcept nogil:
    cdef int64_t length = 0
    at = get_varint(at, end, &length, 32)
    null[0] = length < 0
    if length > 0:
        memcpy(out + used[0], at, length)
        used[0] += <int32_t>length
        at += length
    return at


def gather_headers(const uint8_t[::1] section, int32_t[::1] lists, uint8_t[::1] names, int32_t[::1] name_offsets,
                   uint8_t[::1] values, int32_t[::1] value_offsets, uint8_t[::1] validity):
    """Copies all headers out of the section; ``validity`` (zeroed bits) is that of their values."""
    cdef Py_ssize_t row, count = lists.shape[0] - 1
    cdef const uint8_t* at = &section[0]
    cdef const uint8_t* end = at + section.shape[0]
    cdef uint8_t* name_out = &names[0] if names.shape[0] else NULL
    cdef uint8_t* value_out = &values[0] if values.shape[0] else NULL
    cdef int64_t number = 0, header
    cdef int32_t total = 0, name_used = 0, value_used = 0
    cdef bint null = False
    with nogil:
        for row in range(count):
            lists[row] = total
            at = get_varint(at, end, &number, 32)       # length
            at = get_varint(at + 1, end, &number, 64)   # after the attributes, the timestamp
            at = get_varint(at, end, &number, 32)       # offset
            at = get_varint(at, end, &number, 32)       # key
            at = get_varint(at + (number if number > 0 else 0), end, &number, 32)     # value
            at = get_varint(at + (number if number > 0 else 0), end, &number, 32)     # header count
            for header in range(number):
                name_offsets[total] = name_used
                value_offsets[total] = value_used
                at = copy_field(at, end, name_out, &name_used, &null)
                at = copy_field(at, end, value_out, &value_used, &null)
                if not null:
                    validity[total >> 3] |= <uint8_t>(1 << (total & 7))
                total += 1
        lists[count] = total
        name_offsets[total] = name_used
        value_offsets[total] = value_used


# ---- keys

cdef uint32_t MULTIPLIER = 0x5BD1E995


cdef inline uint32_t murmur2_of(const uint8_t* at, int64_t length) noexcept nogil:
    """Austin Appleby's MurmurHash2, 32 bit, with Kafka's seed."""
    cdef uint32_t mixed = <uint32_t>0x9747B28C ^ <uint32_t>length, part
    while length >= 4:
        part = at[0] | (<uint32_t>at[1] << 8) | (<uint32_t>at[2] << 16) | (<uint32_t>at[3] << 24)
        part *= MULTIPLIER
        part = (part ^ (part >> 24)) * MULTIPLIER
        mixed = (mixed * MULTIPLIER) ^ part
        at += 4
        length -= 4
    if length == 3:
        mixed ^= <uint32_t>at[2] << 16
    if length >= 2:
        mixed ^= <uint32_t>at[1] << 8
    if length >= 1:
        mixed = (mixed ^ at[0]) * MULTIPLIER
    mixed = (mixed ^ (mixed >> 13)) * MULTIPLIER
    return mixed ^ (mixed >> 15)


def murmur2(owner, addresses, int32_t[::1] out):
    """Kafka's hash of each key of a column without nulls, as signed 32-bit numbers."""
    cdef Binary keys
    cdef Py_ssize_t row
    set_column(&keys, addresses)
    with nogil:
        for row in range(out.shape[0]):
            out[row] = <int32_t>murmur2_of(
                keys.data + offset_of(&keys, row), offset_of(&keys, row + 1) - offset_of(&keys, row)
            )
