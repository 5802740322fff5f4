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

from ingest.formats._json_scan cimport care_of, leading_bytes, sequence_size

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

cdef struct Reader:
    const uint8_t* at
    const uint8_t* end
    int64_t row
    int64_t object
    bint no_memory
    uint8_t* scratch           # a name with escapes, made plain: as long as the longest value
    int64_t scratch_size

cdef int64_t MAX_DECIMAL = 60      # longer ones are left to the twin

cdef double[23] POWERS = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
    1e20, 1e21, 1e22,
]
cdef double INFINITE = float("inf")
cdef double NOT_A_NUMBER = float("nan")
cdef int[13] MONTH_DAYS = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


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


cdef inline void skip_space(Reader* reader) noexcept nogil:
    cdef const uint8_t* at = reader.at
    while at < reader.end and at[0] <= 32 and (at[0] == 32 or at[0] == 10 or at[0] == 13 or at[0] == 9):
        at += 1
    reader.at = at


cdef inline bint take_byte(Reader* reader, uint8_t byte) noexcept nogil:
    skip_space(reader)
    if reader.at < reader.end and reader.at[0] == byte:
        reader.at += 1
        return True
    return False


cdef inline bint take_word(Reader* reader, const char* word, int size) noexcept nogil:
    if reader.end - reader.at >= size and memcmp(reader.at, word, size) == 0:
        reader.at += size
        return True
    return False


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


cdef bint copy_string(Reader* reader, uint8_t* start, int64_t* size) noexcept nogil:
    """A string in quotes, made plain, into memory that has eight bytes more than what is left of the value."""
    cdef const uint8_t* at = reader.at
    cdef const uint8_t* end = reader.end
    cdef uint8_t* to = start
    cdef uint64_t eight, care
    cdef int length
    if at >= end or at[0] != 34:
        return False
    at += 1
    while at < end:
        if end - at >= 8:
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
        if at[0] == 34:
            reader.at = at + 1
            size[0] = to - start
            return True
        if at[0] == 92:
            length = copy_escape(at, end, &to)
        elif at[0] < 32:
            return False
        elif at[0] < 128:
            to[0] = at[0]
            to += 1
            length = 1
        else:
            length = sequence_size(at, end)
            memcpy(to, at, length)
            to += length
        if length == 0:
            return False
        at += length
    return False


cdef int copy_escape(const uint8_t* at, const uint8_t* end, uint8_t** to) noexcept nogil:
    """Bytes of the escape that begins here, whose character goes to ``to``; 0 if it is none."""
    cdef uint8_t plain
    cdef int64_t point, low
    if end - at < 2:
        return 0
    if at[1] == 117:
        point = four_digits(at + 2, end)
        if point < 0 or (point & 0xFC00) == 0xDC00:
            return 0
        if (point & 0xFC00) != 0xD800:
            to[0] = put_point(to[0], <uint32_t>point)
            return 6
        if end - at < 12 or at[6] != 92 or at[7] != 117:
            return 0
        low = four_digits(at + 8, end)
        if low < 0 or (low & 0xFC00) != 0xDC00:
            return 0
        to[0] = put_point(to[0], <uint32_t>(0x10000 + ((point & 0x3FF) << 10) + (low & 0x3FF)))
        return 12
    plain = plain_of(at[1])
    if plain == 0:
        return 0
    to[0][0] = plain
    to[0] += 1
    return 2


cdef inline uint8_t plain_of(uint8_t letter) noexcept nogil:
    if letter == 34 or letter == 92 or letter == 47:
        return letter
    if letter == 110:
        return 10
    if letter == 116:
        return 9
    if letter == 114:
        return 13
    if letter == 98:
        return 8
    return 12 if letter == 102 else 0


cdef inline int64_t four_digits(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """Four hexadecimal digits, or -1."""
    cdef int position
    cdef int64_t value = 0
    cdef uint8_t byte
    if end - at < 4:
        return -1
    for position in range(4):
        byte = at[position]
        if 48 <= byte <= 57:
            value = value * 16 + byte - 48
        elif 97 <= (byte | 32) <= 102:
            value = value * 16 + (byte | 32) - 87
        else:
            return -1
    return value


cdef inline uint8_t* put_point(uint8_t* to, uint32_t point) noexcept nogil:
    if point < 0x80:
        to[0] = <uint8_t>point
        return to + 1
    if point < 0x800:
        to[0] = <uint8_t>(0xC0 | (point >> 6))
        to[1] = <uint8_t>(0x80 | (point & 63))
        return to + 2
    if point < 0x10000:
        to[0] = <uint8_t>(0xE0 | (point >> 12))
        to[1] = <uint8_t>(0x80 | ((point >> 6) & 63))
        to[2] = <uint8_t>(0x80 | (point & 63))
        return to + 3
    to[0] = <uint8_t>(0xF0 | (point >> 18))
    to[1] = <uint8_t>(0x80 | ((point >> 12) & 63))
    to[2] = <uint8_t>(0x80 | ((point >> 6) & 63))
    to[3] = <uint8_t>(0x80 | (point & 63))
    return to + 4


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


cdef inline int whole_number(Reader* reader, uint64_t* value) noexcept nogil:
    """Digits without a leading zero; their count, or 0 for none and for more than 64 bits hold."""
    cdef const uint8_t* at = reader.at
    cdef const uint8_t* end = reader.end
    cdef const uint8_t* start = at
    cdef uint64_t number = 0
    cdef uint64_t digit
    if at < end and at[0] == 48:
        # 01 is no number.
        if at + 1 < end and 48 <= at[1] <= 57:
            return 0
        value[0] = 0
        reader.at = at + 1
        return 1
    while at < end:
        digit = <uint64_t>at[0] - 48
        if digit > 9:
            break
        if at - start >= 19:
            if at - start >= 20 or number > 1844674407370955161ULL or (number == 1844674407370955161ULL and digit > 5):
                return 0
        number = number * 10 + digit
        at += 1
    value[0] = number
    reader.at = at
    return <int>(at - start)


cdef inline bint at_fraction(Reader* reader) noexcept nogil:
    return reader.at < reader.end and (reader.at[0] == 46 or (reader.at[0] | 32) == 101)


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


cdef int scan_number(Reader* reader, uint64_t* digits, int64_t* exponent) noexcept nogil:
    """Passes a number: 0 it is none, 1 whole, 2 with fraction or exponent, 3 the same with too many digits."""
    cdef bint negative = reader.at[0] == 45
    cdef int whole, more
    cdef int64_t power = 0
    if negative:
        reader.at += 1
    whole = whole_number(reader, digits)
    if whole == 0:
        # Perhaps a number that is too long for 64 bits: with a fraction it is one for the exact parser.
        return long_number(reader)
    if not at_fraction(reader):
        return 1
    if reader.at[0] == 46:
        reader.at += 1
        more = fraction_digits(reader, digits, whole)
        if more == 0:
            return 0
        exponent[0] = -more
        if more < 0:
            return 3 if pass_exponent(reader, &power) else 0
    if not pass_exponent(reader, &power):
        return 0
    exponent[0] += power
    return 2


cdef int fraction_digits(Reader* reader, uint64_t* digits, int whole) noexcept nogil:
    """Adds the digits after a point; their count, 0 for none, -1 for more than fit."""
    cdef const uint8_t* start = reader.at
    cdef uint64_t digit
    while reader.at < reader.end:
        digit = <uint64_t>reader.at[0] - 48
        if digit > 9:
            break
        if whole + (reader.at - start) < 19:
            digits[0] = digits[0] * 10 + digit
        reader.at += 1
    if whole + (reader.at - start) > 19:
        return -1
    return <int>(reader.at - start)


cdef bint pass_exponent(Reader* reader, int64_t* power) noexcept nogil:
    cdef bint negative
    cdef const uint8_t* start
    if reader.at >= reader.end or (reader.at[0] | 32) != 101:
        return True
    reader.at += 1
    if reader.at >= reader.end:
        return False
    negative = reader.at[0] == 45
    if negative or reader.at[0] == 43:
        reader.at += 1
    start = reader.at
    while reader.at < reader.end and 48 <= reader.at[0] <= 57:
        if power[0] < 100000:
            power[0] = power[0] * 10 + reader.at[0] - 48
        reader.at += 1
    if negative:
        power[0] = -power[0]
    return reader.at > start


cdef int long_number(Reader* reader) noexcept nogil:
    cdef const uint8_t* start = reader.at
    cdef uint64_t digits = 0
    cdef int64_t power = 0
    if start >= reader.end or start[0] < 49 or start[0] > 57:
        return 0
    while reader.at < reader.end and 48 <= reader.at[0] <= 57:
        reader.at += 1
    if not at_fraction(reader):
        return 0
    if reader.at[0] == 46:
        reader.at += 1
        if fraction_digits(reader, &digits, 19) == 0:
            return 0
    return 3 if pass_exponent(reader, &power) else 0


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


cdef bint has_exponent(const uint8_t* text, int64_t size) noexcept nogil:
    cdef int64_t position
    for position in range(size):
        if (text[position] | 32) == 101:
            return True
    return False


cdef inline int six_bits(uint8_t byte) noexcept nogil:
    """The value of a letter of base64, or -1."""
    if 65 <= byte <= 90:
        return byte - 65
    if 97 <= byte <= 122:
        return byte - 71
    if 48 <= byte <= 57:
        return byte + 4
    return 62 if byte == 43 else 63 if byte == 47 else -1


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


cdef inline int64_t number_of(const uint8_t* at, int count) noexcept nogil:
    """Decimal digits, or a negative number if one is none."""
    cdef int64_t value = 0
    cdef int position
    cdef uint64_t digit
    for position in range(count):
        digit = <uint64_t>at[position] - 48
        if digit > 9:
            return -1000000
        value = value * 10 + <int64_t>digit
    return value


cdef bint day_of(const uint8_t* at, int64_t* days) noexcept nogil:
    """Days since 1970 of ``YYYY-MM-DD`` (Hinnant's days_from_civil)."""
    cdef int64_t year = number_of(at, 4)
    cdef int64_t month = number_of(at + 5, 2)
    cdef int64_t day = number_of(at + 8, 2)
    cdef int64_t era, of_era
    if year < 1 or month < 1 or month > 12 or day < 1 or day > MONTH_DAYS[month] or at[4] != 45 or at[7] != 45:
        return False
    if month == 2 and day == 29 and (year % 4 or (year % 100 == 0 and year % 400)):
        return False
    if month <= 2:
        year -= 1
    era = year // 400
    of_era = (year - era * 400) * 365 + (year - era * 400) // 4 - (year - era * 400) // 100
    of_era += (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    days[0] = era * 146097 + of_era - 719468
    return True


cdef bint clock_of(const uint8_t* at, int64_t* second) noexcept nogil:
    cdef int64_t hours = number_of(at, 2)
    cdef int64_t minutes = number_of(at + 3, 2)
    cdef int64_t seconds = number_of(at + 6, 2)
    if hours < 0 or hours > 23 or minutes < 0 or minutes > 59 or seconds < 0 or seconds > 59:
        return False
    second[0] = hours * 3600 + minutes * 60 + seconds
    return at[2] == 58 and at[5] == 58


cdef bint fraction_of(Reader* reader, int digits, int64_t* fraction) noexcept nogil:
    """What stands after the seconds, in units of ``digits`` places; finer digits must be zero."""
    cdef const uint8_t* start
    cdef int count = 0
    cdef int64_t value = 0
    fraction[0] = 0
    if reader.at >= reader.end or reader.at[0] != 46:
        return True
    reader.at += 1
    start = reader.at
    while reader.at < reader.end and 48 <= reader.at[0] <= 57:
        if reader.at - start < digits:
            value = value * 10 + reader.at[0] - 48
        elif reader.at[0] != 48:
            return False
        reader.at += 1
    count = <int>(reader.at - start)
    if count == 0 or count > 9:
        return False
    while count < digits:
        value *= 10
        count += 1
    fraction[0] = value
    return True


cdef bint zone_of(Reader* reader, bint zoned, int64_t* offset) noexcept nogil:
    """The seconds by which the text is ahead of UTC; a zone must be there where the column has one, else not."""
    cdef int64_t hours, minutes
    offset[0] = 0
    if not zoned:
        return True
    if reader.at < reader.end and reader.at[0] == 90:
        reader.at += 1
        return True
    if reader.end - reader.at < 6 or reader.at[3] != 58 or (reader.at[0] != 43 and reader.at[0] != 45):
        return False
    hours, minutes = number_of(reader.at + 1, 2), number_of(reader.at + 4, 2)
    if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
        return False
    offset[0] = (hours * 3600 + minutes * 60) * (1 if reader.at[0] == 43 else -1)
    reader.at += 6
    return True


cdef inline int64_t unit_of(int digits) noexcept nogil:
    return 1 if digits == 0 else 1000 if digits == 3 else 1000000 if digits == 6 else 1000000000


cdef inline bint take_quote(Reader* reader) noexcept nogil:
    if reader.at < reader.end and reader.at[0] == 34:
        reader.at += 1
        return True
    return False


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
