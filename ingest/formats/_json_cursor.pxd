"""Where the JSON reader stands in one value, and the steps that need nothing else."""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcmp

cdef struct Reader:
    const uint8_t* at
    const uint8_t* end
    int64_t row
    int64_t object
    bint no_memory
    uint8_t* scratch           # a name with escapes, made plain: as long as the longest value
    int64_t scratch_size


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


cdef inline bint take_quote(Reader* reader) noexcept nogil:
    if reader.at < reader.end and reader.at[0] == 34:
        reader.at += 1
        return True
    return False
