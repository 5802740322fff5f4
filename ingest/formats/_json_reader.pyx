# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False, language_level=3
"""JSON objects into columns of a known schema: the compiled half of ``json_twin.decode``, which is its oracle.

``json_arrays`` describes the schema as a tree of ``Column``; ``read_rows`` parses each value into it, strictly,
with the GIL released. A row that does not fit is named and leaves a null behind; the twin then says why, or
takes it after all. The fast way is our own layout (names in order, no spaces); any other JSON is read too.
"""

from cpython.ref cimport PyObject
from libc.math cimport fabs
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from ingest.formats._json_cursor cimport Reader, skip_space, take_byte, take_quote, take_word
from ingest.formats._json_numbers cimport at_fraction, has_exponent, scan_number, whole_number
from ingest.formats._json_strings cimport copy_string, six_bits
from ingest.formats._json_times cimport clock_of, day_of, fraction_of, unit_of, zone_of

cdef enum Kind:
    NULLS = 0
    BOOLEAN = 1
    SIGNED = 2
    UNSIGNED = 3
    FLOAT = 4
    DECIMAL = 5        # the text of a number
    TEXT = 6
    BYTES = 7
    STAMP = 8
    DAY = 9
    CLOCK = 10
    LIST = 11
    STRUCT = 12

cdef struct Memory:
    uint8_t* start
    int64_t capacity
    PyObject* buffer           # an Arrow buffer that its Tree keeps alive

cdef struct Column:
    int kind
    bint nullable
    int digits                 # of a fraction of a second
    bint zoned
    int64_t low                # of integers; of BYTES: their one size, or -1
    uint64_t high
    double exact               # the largest whole number that FLOAT holds with all below it
    double biggest
    const char* label          # "name":
    int64_t label_size
    uint64_t label_start       # its first eight bytes
    uint64_t label_mask
    const char* name
    int64_t name_size
    int child_count
    Column** children
    int64_t seen               # the object that had this name last
    int64_t length             # slots so far
    int64_t slots              # slots there is room for
    int64_t mark               # length at the start of the row
    int64_t text_size
    Memory valid               # one bit a slot
    Memory values              # eight bytes a slot (BOOLEAN: one), or text
    Memory offsets             # four bytes a slot and one
    Memory rows                # of DECIMAL: eight bytes a slot, the row it is in
    int64_t hard_count         # of FLOAT: numbers that need an exact parser
    Memory hard                # pairs of slot and row, eight bytes each
    Memory hard_offsets
    Memory hard_text
    int64_t known_second       # of STAMP: what known_text means
    char known_text[20]

cdef int64_t MAX_DECIMAL = 60      # longer ones are left to the twin

cdef double[23] POWERS = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
    1e20, 1e21, 1e22,
]
cdef double INFINITE = float("inf")
cdef double NOT_A_NUMBER = float("nan")


cdef class Tree:
    """The columns that are read into. ``allocate`` gives an Arrow buffer of that many bytes."""

    cdef Column* columns
    cdef int count
    cdef bint has_lists
    cdef list specs
    cdef list buffers

    def __cinit__(self, list specs, int64_t rows, int64_t text_bytes, object allocate):
        cdef int index
        self.specs = specs
        self.buffers = []
        self.count = len(specs)
        self.columns = <Column*>calloc(self.count, sizeof(Column))
        if self.columns == NULL:
            raise MemoryError()
        for index in range(self.count):
            self.fill(&self.columns[index], specs[index])
            self.make_room(&self.columns[index], specs[index], rows, text_bytes, allocate)

    cdef fill(self, Column* column, object spec):
        cdef int position
        cdef bytes label = spec.label
        cdef bytes name = spec.name
        column.kind = spec.kind
        column.nullable = spec.nullable
        column.digits = spec.digits
        column.zoned = spec.zoned
        column.low = spec.low
        column.high = spec.high
        column.exact = spec.exact
        column.biggest = spec.biggest
        column.label = label
        column.label_size = len(label)
        memcpy(&column.label_start, column.label, min(8, column.label_size))
        column.label_mask = 0
        for position in range(min(8, column.label_size)):
            (<uint8_t*>&column.label_mask)[position] = 0xFF
        column.name = name
        column.name_size = len(name)
        column.known_second = INT64_MAX
        column.child_count = len(spec.children)
        column.children = <Column**>calloc(column.child_count + 1, sizeof(Column*))
        if column.children == NULL:
            raise MemoryError()
        for position in range(column.child_count):
            column.children[position] = &self.columns[<int>spec.children[position]]
        self.has_lists = self.has_lists or column.kind == LIST

    cdef make_room(self, Column* column, object spec, int64_t rows, int64_t text_bytes, object allocate):
        """For one slot a row; columns inside lists grow beyond it."""
        cdef int kind = column.kind
        cdef bint is_text = kind == TEXT or kind == BYTES or kind == DECIMAL
        column.slots = rows + 1
        self.take(&column.valid, (rows >> 3) + 2, allocate)
        if is_text:
            self.take(&column.values, text_bytes + 64, allocate)
        elif kind not in (NULLS, LIST, STRUCT):
            self.take(&column.values, (rows + 1) * (1 if kind == BOOLEAN else 8), allocate)
        if is_text or kind == LIST:
            self.take(&column.offsets, (rows + 2) * 4, allocate)
            (<int32_t*>column.offsets.start)[0] = 0
        if kind == DECIMAL:
            self.take(&column.rows, (rows + 1) * 8, allocate)
        if kind == FLOAT:
            self.take(&column.hard, 16, allocate)
            self.take(&column.hard_offsets, 8, allocate)
            self.take(&column.hard_text, 64, allocate)
            (<int32_t*>column.hard_offsets.start)[0] = 0

    cdef take(self, Memory* memory, int64_t size, object allocate):
        buffer = allocate(size)
        self.buffers.append(buffer)
        memory.buffer = <PyObject*>buffer
        memory.start = <uint8_t*><size_t>buffer.address
        memory.capacity = size

    def buffer_of(self, int index, str name):
        """The memory of a column: ``valid``, ``values``, ``offsets``, ``rows``, ``hard``, …"""
        cdef Column* column = &self.columns[index]
        if name == "valid":
            return <object>column.valid.buffer
        if name == "values":
            return <object>column.values.buffer
        if name == "offsets":
            return <object>column.offsets.buffer
        if name == "rows":
            return <object>column.rows.buffer
        if name == "hard":
            return <object>column.hard.buffer
        return <object>(column.hard_offsets.buffer if name == "hard_offsets" else column.hard_text.buffer)

    def sizes_of(self, int index):
        """(slots, bytes of text, hard numbers)"""
        cdef Column* column = &self.columns[index]
        return column.length, column.text_size, column.hard_count

    def __dealloc__(self):
        cdef int index
        if self.columns != NULL:
            for index in range(self.count):
                free(self.columns[index].children)
            free(self.columns)


def read_rows(Tree tree, size_t data, const int64_t[::1] offsets, const uint8_t[::1] nulls, uint8_t[::1] scratch, uint8_t[::1] states):
    """Reads each value (``offsets``: rows + 1, into the memory at ``data``) into the struct ``tree``.

    ``nulls`` has one byte a row, or none if no value is null; ``scratch`` is as long as the longest value. Fills
    ``states``: 0 read, 1 null, 2 refused.
    """
    cdef Reader reader
    cdef Column* top = &tree.columns[0]
    cdef int64_t row
    cdef bint some_null = nulls.shape[0] > 0
    reader.object = 0
    reader.no_memory = False
    reader.scratch = &scratch[0]
    reader.scratch_size = scratch.shape[0]
    with nogil:
        for row in range(states.shape[0]):
            reader.row = row
            if some_null and nulls[row]:
                states[row] = 1
            else:
                if tree.has_lists:
                    mark_lengths(tree.columns, tree.count)
                reader.at = <const uint8_t*>data + offsets[row]
                reader.end = <const uint8_t*>data + offsets[row + 1]
                states[row] = 0 if read_whole(&reader, top) else 2
            if states[row]:
                if states[row] == 2:
                    take_back(tree.columns, tree.count, row, tree.has_lists)
                if not put_null(&reader, top):
                    break
            if reader.no_memory:
                break
    if reader.no_memory:
        raise MemoryError()


cdef void mark_lengths(Column* columns, int count) noexcept nogil:
    cdef int index
    for index in range(count):
        columns[index].mark = columns[index].length


cdef void take_back(Column* columns, int count, int64_t row, bint has_lists) noexcept nogil:
    """Every column as it was before the row."""
    cdef int index
    cdef Column* column
    for index in range(count):
        column = &columns[index]
        column.length = column.mark if has_lists else row
        if column.offsets.start != NULL and column.kind != LIST:
            column.text_size = (<int32_t*>column.offsets.start)[column.length]
        while column.hard_count and (<int64_t*>column.hard.start)[2 * column.hard_count - 1] == row:
            column.hard_count -= 1


cdef bint grow(Reader* reader, Memory* memory, int64_t need) noexcept with gil:
    cdef int64_t wanted = memory.capacity * 2 + need
    try:
        (<object>memory.buffer).resize(wanted)
        memory.start = <uint8_t*><size_t>(<object>memory.buffer).address
    except MemoryError:
        reader.no_memory = True
        return False
    memory.capacity = wanted
    return True


cdef inline bint room(Reader* reader, Memory* memory, int64_t size) noexcept nogil:
    if size <= memory.capacity:
        return True
    return grow(reader, memory, size)


cdef bint more_slots(Reader* reader, Column* column) noexcept nogil:
    cdef int64_t slots = column.slots * 2 + 64
    if not room(reader, &column.valid, (slots >> 3) + 2):
        return False
    if column.offsets.start != NULL:
        if not room(reader, &column.offsets, (slots + 2) * 4):
            return False
    elif column.values.start != NULL and not room(reader, &column.values, slots * (1 if column.kind == BOOLEAN else 8)):
        return False
    if column.rows.start != NULL and not room(reader, &column.rows, slots * 8):
        return False
    column.slots = slots
    return True


cdef inline bint slot_for(Reader* reader, Column* column) noexcept nogil:
    """Room for one slot more."""
    return column.length < column.slots or more_slots(reader, column)


cdef inline void set_valid(Column* column) noexcept nogil:
    column.valid.start[column.length >> 3] |= <uint8_t>(1 << (column.length & 7))
    column.length += 1


cdef inline void put_number(Column* column, int64_t value) noexcept nogil:
    (<int64_t*>column.values.start)[column.length] = value
    set_valid(column)


cdef inline void put_text(Column* column, int64_t size) noexcept nogil:
    """Takes the ``size`` bytes that stand behind the text so far as the next slot."""
    column.text_size += size
    (<int32_t*>column.offsets.start)[column.length + 1] = <int32_t>column.text_size
    set_valid(column)


cdef bint put_null(Reader* reader, Column* column) noexcept nogil:
    cdef int64_t slot = column.length
    cdef int position
    if not slot_for(reader, column):
        return False
    column.valid.start[slot >> 3] &= <uint8_t>~(1 << (slot & 7))
    if column.kind == STRUCT:
        for position in range(column.child_count):
            if not put_null(reader, column.children[position]):
                return False
    elif column.kind == LIST:
        (<int32_t*>column.offsets.start)[slot + 1] = <int32_t>column.children[0].length
    elif column.offsets.start != NULL:
        (<int32_t*>column.offsets.start)[slot + 1] = <int32_t>column.text_size
    elif column.kind == BOOLEAN:
        column.values.start[slot] = 0
    elif column.values.start != NULL:
        (<int64_t*>column.values.start)[slot] = 0
    column.length += 1
    return True


cdef bint read_whole(Reader* reader, Column* top) noexcept nogil:
    skip_space(reader)
    if not read_struct(reader, top):
        return False
    skip_space(reader)
    return reader.at == reader.end


cdef bint read_value(Reader* reader, Column* column) noexcept nogil:
    cdef int kind = column.kind
    skip_space(reader)
    if reader.at >= reader.end or not slot_for(reader, column):
        return False
    if reader.at[0] == 110:
        return column.nullable and take_word(reader, b"null", 4) and put_null(reader, column)
    # A bit may be left of a row that was taken back, or never set.
    column.valid.start[column.length >> 3] &= <uint8_t>~(1 << (column.length & 7))
    if kind == TEXT:
        return read_text(reader, column)
    if kind == SIGNED or kind == UNSIGNED:
        return read_integer(reader, column)
    if kind == STAMP:
        return read_stamp(reader, column)
    if kind == FLOAT:
        return read_float(reader, column)
    if kind == BOOLEAN:
        return read_boolean(reader, column)
    if kind == STRUCT:
        return read_struct(reader, column)
    if kind == LIST:
        return read_list(reader, column)
    if kind == DECIMAL:
        return read_decimal(reader, column)
    if kind == BYTES:
        return read_bytes(reader, column)
    if kind == DAY:
        return read_day(reader, column)
    if kind == CLOCK:
        return read_clock(reader, column)
    return False


cdef bint read_struct(Reader* reader, Column* column) noexcept nogil:
    cdef int64_t this
    cdef int expected = 0
    cdef int found = 0
    cdef Column* child
    if not take_byte(reader, 123) or not slot_for(reader, column):
        return False
    reader.object += 1
    this = reader.object
    skip_space(reader)
    if reader.at < reader.end and reader.at[0] == 125:
        reader.at += 1
    else:
        while True:
            child = next_column(reader, column, &expected)
            if child == NULL or child.seen == this:
                return False
            child.seen = this
            found += 1
            if not read_value(reader, child):
                return False
            if reader.at < reader.end and reader.at[0] == 44:
                reader.at += 1
                continue
            skip_space(reader)
            if reader.at >= reader.end:
                return False
            if reader.at[0] == 125:
                reader.at += 1
                break
            if reader.at[0] != 44:
                return False
            reader.at += 1
    if found < column.child_count and not fill_missing(reader, column, this):
        return False
    set_valid(column)
    return True


cdef bint fill_missing(Reader* reader, Column* column, int64_t this) noexcept nogil:
    cdef int position
    for position in range(column.child_count):
        if column.children[position].seen != this:
            if not column.children[position].nullable or not put_null(reader, column.children[position]):
                return False
    return True


cdef inline Column* next_column(Reader* reader, Column* column, int* expected) noexcept nogil:
    """Reads a name and its colon; the column of that name, or NULL."""
    cdef Column* child
    cdef uint64_t eight
    if expected[0] < column.child_count:
        child = column.children[expected[0]]
        if reader.end - reader.at >= 8 and reader.end - reader.at >= child.label_size:
            memcpy(&eight, reader.at, 8)
            if (eight ^ child.label_start) & child.label_mask == 0 and (
                child.label_size <= 8 or memcmp(reader.at + 8, child.label + 8, child.label_size - 8) == 0
            ):
                reader.at += child.label_size
                expected[0] += 1
                return child
    return any_column(reader, column, expected)


cdef Column* any_column(Reader* reader, Column* column, int* expected) noexcept nogil:
    cdef const uint8_t* name
    cdef int64_t size
    cdef int step, position
    cdef Column* child
    skip_space(reader)
    if not read_name(reader, &name, &size):
        return NULL
    for step in range(column.child_count):
        position = expected[0] + step
        if position >= column.child_count:
            position -= column.child_count
        child = column.children[position]
        if child.name_size == size and memcmp(child.name, name, size) == 0:
            expected[0] = position + 1 if position + 1 < column.child_count else 0
            return child if take_byte(reader, 58) else NULL
    return NULL


cdef bint read_name(Reader* reader, const uint8_t** name, int64_t* size) noexcept nogil:
    """A name in quotes: where it stands if it is plain, else in the scratch memory."""
    cdef const uint8_t* at = reader.at + 1
    if reader.at >= reader.end or reader.at[0] != 34:
        return False
    while at < reader.end and at[0] != 34 and at[0] != 92 and at[0] >= 32:
        at += 1
    if at < reader.end and at[0] == 34:
        name[0] = reader.at + 1
        size[0] = at - reader.at - 1
        reader.at = at + 1
        return True
    name[0] = reader.scratch
    return copy_string(reader, reader.scratch, size)


cdef bint read_text(Reader* reader, Column* column) noexcept nogil:
    cdef int64_t size = 0
    if not room(reader, &column.values, column.text_size + (reader.end - reader.at) + 8):
        return False
    if not copy_string(reader, column.values.start + column.text_size, &size):
        return False
    put_text(column, size)
    return True


cdef bint read_list(Reader* reader, Column* column) noexcept nogil:
    cdef Column* child = column.children[0]
    cdef uint8_t mark
    if not take_byte(reader, 91):
        return False
    skip_space(reader)
    if reader.at < reader.end and reader.at[0] == 93:
        reader.at += 1
    else:
        while True:
            if not read_value(reader, child):
                return False
            skip_space(reader)
            if reader.at >= reader.end:
                return False
            mark = reader.at[0]
            reader.at += 1
            if mark == 93:
                break
            if mark != 44:
                return False
    (<int32_t*>column.offsets.start)[column.length + 1] = <int32_t>child.length
    set_valid(column)
    return True


cdef bint read_boolean(Reader* reader, Column* column) noexcept nogil:
    cdef bint value = reader.at[0] == 116
    if not (take_word(reader, b"true", 4) if value else take_word(reader, b"false", 5)):
        return False
    column.values.start[column.length] = value
    set_valid(column)
    return True


cdef bint read_integer(Reader* reader, Column* column) noexcept nogil:
    cdef bint negative = reader.at[0] == 45
    cdef uint64_t size
    if negative:
        reader.at += 1
    if whole_number(reader, &size) == 0 or at_fraction(reader):
        return False
    if negative:
        # -0 is a float; and the magnitude of the lowest is one more than that of the highest.
        if size == 0 or size > 0 - <uint64_t>column.low:
            return False
        put_number(column, <int64_t>(0 - size))
        return True
    if size > column.high:
        return False
    put_number(column, <int64_t>size)
    return True


cdef bint read_float(Reader* reader, Column* column) noexcept nogil:
    """Few digits and a small exponent are exact with two doubles; the rest is left to an exact parser."""
    cdef const uint8_t* start = reader.at
    cdef uint64_t digits = 0
    cdef int64_t exponent = 0
    cdef int state
    cdef double value
    if start[0] == 34:
        return read_special(reader, column)
    state = scan_number(reader, &digits, &exponent)
    if state == 0:
        return False
    if state == 1:
        value = <double>digits
        if digits > <uint64_t>column.exact:
            return False
    elif state == 3 or (digits > 9007199254740992ULL or exponent > 22 or exponent < -22) and digits != 0:
        return put_hard(reader, column, start)
    elif digits == 0 or exponent == 0:
        value = <double>digits
    else:
        value = <double>digits * POWERS[exponent] if exponent > 0 else <double>digits / POWERS[-exponent]
    if value > column.biggest:
        return False
    (<double*>column.values.start)[column.length] = -value if start[0] == 45 else value
    set_valid(column)
    return True


cdef bint read_special(Reader* reader, Column* column) noexcept nogil:
    cdef double value
    if take_word(reader, b'"NaN"', 5):
        value = NOT_A_NUMBER
    elif take_word(reader, b'"Infinity"', 10):
        value = INFINITE
    elif take_word(reader, b'"-Infinity"', 11):
        value = -INFINITE
    else:
        return False
    (<double*>column.values.start)[column.length] = value
    set_valid(column)
    return True


cdef bint put_hard(Reader* reader, Column* column, const uint8_t* start) noexcept nogil:
    """Keeps the text of a number, and where it belongs."""
    cdef int64_t size = reader.at - start
    cdef int64_t count = column.hard_count
    cdef int32_t before = (<int32_t*>column.hard_offsets.start)[count]
    if not (
        room(reader, &column.hard, (count + 1) * 16)
        and room(reader, &column.hard_offsets, (count + 2) * 4)
        and room(reader, &column.hard_text, before + size)
    ):
        return False
    memcpy(column.hard_text.start + before, start, size)
    (<int32_t*>column.hard_offsets.start)[count + 1] = <int32_t>(before + size)
    (<int64_t*>column.hard.start)[2 * count] = column.length
    (<int64_t*>column.hard.start)[2 * count + 1] = reader.row
    column.hard_count = count + 1
    (<double*>column.values.start)[column.length] = 0
    set_valid(column)
    return True


cdef bint read_decimal(Reader* reader, Column* column) noexcept nogil:
    """Keeps the text for Arrow, which reads decimals exactly as long as they have few places: others, and
    those with a large exponent, it takes for zero, so they are refused here."""
    cdef const uint8_t* start = reader.at
    cdef uint64_t digits = 0
    cdef int64_t exponent = 0
    cdef int64_t size
    cdef int state = scan_number(reader, &digits, &exponent)
    if state == 0:
        # Whole numbers beyond 64 bits, too.
        reader.at = start + (1 if start[0] == 45 else 0)
        if reader.at >= reader.end or not 49 <= reader.at[0] <= 57:
            return False
        while reader.at < reader.end and 48 <= reader.at[0] <= 57:
            reader.at += 1
        if at_fraction(reader):
            return False
    size = reader.at - start
    if size > MAX_DECIMAL or exponent > 38 or exponent < -38 or (state == 3 and has_exponent(start, size)):
        return False
    if not room(reader, &column.values, column.text_size + size):
        return False
    memcpy(column.values.start + column.text_size, start, size)
    (<int64_t*>column.rows.start)[column.length] = reader.row
    put_text(column, size)
    return True


cdef bint read_bytes(Reader* reader, Column* column) noexcept nogil:
    """Base64 with its padding, whose unused bits are zero: each text has one value, and back."""
    cdef const uint8_t* at = reader.at + 1
    cdef uint8_t* to
    cdef uint8_t* start
    cdef int a, b, c, d
    if reader.at[0] != 34 or not room(reader, &column.values, column.text_size + (reader.end - reader.at)):
        return False
    start = column.values.start + column.text_size
    to = start
    while reader.end - at >= 4 and at[0] != 34:
        a, b, c, d = six_bits(at[0]), six_bits(at[1]), six_bits(at[2]), six_bits(at[3])
        if a < 0 or b < 0:
            return False
        to[0] = <uint8_t>(a << 2 | b >> 4)
        at += 4
        if c < 0 or d < 0:
            if (at - 1)[0] != 61 or (c < 0 and ((at - 2)[0] != 61 or b & 15)) or (c >= 0 and c & 3):
                return False
            if c >= 0:
                to[1] = <uint8_t>((b & 15) << 4 | c >> 2)
            to += 1 if c < 0 else 2
            break
        to[1] = <uint8_t>((b & 15) << 4 | c >> 2)
        to[2] = <uint8_t>((c & 3) << 6 | d)
        to += 3
    if at >= reader.end or at[0] != 34 or (column.low >= 0 and to - start != column.low):
        return False
    reader.at = at + 1
    put_text(column, to - start)
    return True


cdef bint read_stamp(Reader* reader, Column* column) noexcept nogil:
    cdef int64_t unit = unit_of(column.digits)
    cdef int64_t days, second, fraction, offset
    if reader.end - reader.at < 21 or not take_quote(reader):
        return False
    if column.known_second == INT64_MAX or memcmp(reader.at, column.known_text, 19) != 0:
        column.known_second = INT64_MAX
        if (reader.at[10] != 84 and reader.at[10] != 32) or not day_of(reader.at, &days):
            return False
        if not clock_of(reader.at + 11, &second):
            return False
        memcpy(column.known_text, reader.at, 19)
        column.known_second = days * 86400 + second
    second = column.known_second
    reader.at += 19
    if not (fraction_of(reader, column.digits, &fraction) and zone_of(reader, column.zoned, &offset)):
        return False
    second -= offset
    if second >= INT64_MAX // unit or second <= -(INT64_MAX // unit) or not take_quote(reader):
        return False
    put_number(column, second * unit + fraction)
    return True


cdef bint read_day(Reader* reader, Column* column) noexcept nogil:
    cdef int64_t days
    if reader.end - reader.at < 12 or not take_quote(reader) or not day_of(reader.at, &days):
        return False
    reader.at += 10
    put_number(column, days)
    return take_quote(reader)


cdef bint read_clock(Reader* reader, Column* column) noexcept nogil:
    cdef int64_t second, fraction
    if reader.end - reader.at < 10 or not take_quote(reader) or not clock_of(reader.at, &second):
        return False
    reader.at += 8
    if not fraction_of(reader, column.digits, &fraction):
        return False
    put_number(column, second * unit_of(column.digits) + fraction)
    return take_quote(reader)
