# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, language_level=3
"""Rows of a SQLite statement to columns, compiled; ``columns.batch_of`` is its oracle.

It steps a statement of its own on a connection that Python's ``sqlite3`` has opened, through SQLite's C interface. The
addresses of the functions come from ``library``: nothing is linked, so that there is one SQLite in the process.
"""

import sqlite3

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy

from ingest.formats._columns cimport is_utf8

cdef extern from "pythread.h":
    unsigned long PyThread_get_thread_ident() noexcept nogil

cdef enum:
    INTEGER = 1             # SQLite's own numbers of what a value is
    FLOAT = 2
    TEXT = 3
    BLOB = 4
    NOTHING = 5

cdef enum:
    OK = 0
    OUT_OF_MEMORY = 7
    HELD = 90               # the row is stepped to, and belongs to the next batch
    ROW = 100
    DONE = 101

cdef enum:
    VALUE_BYTES = 8         # what a value is counted as, beside the bytes of its text
    MOST_ROWS = 65536
    PAD = 8
    KEPT_BYTES = 65536      # room for texts beyond the size of a batch that is kept for the next one

cdef int64_t EXACT = 1 << 53    # up to here each integer is a double

ctypedef int (*auto_extension_t)(void*) noexcept nogil
ctypedef void* (*of_database_t)(void*) noexcept nogil
ctypedef void (*on_mutex_t)(void*) noexcept nogil
ctypedef int (*prepare_t)(void*, const char*, int, void**, const char**) noexcept nogil
ctypedef int (*int_of_t)(void*) noexcept nogil
ctypedef const char* (*message_t)(void*) noexcept nogil
ctypedef void* (*column_value_t)(void*, int) noexcept nogil
ctypedef int64_t (*int64_of_t)(void*) noexcept nogil
ctypedef double (*double_of_t)(void*) noexcept nogil
ctypedef const uint8_t* (*bytes_of_t)(void*) noexcept nogil

cdef struct Interface:
    auto_extension_t auto_extension
    auto_extension_t cancel_auto_extension
    of_database_t db_mutex
    on_mutex_t mutex_enter
    on_mutex_t mutex_leave
    prepare_t prepare
    int_of_t step
    int_of_t finalize
    int_of_t column_count
    message_t errmsg
    column_value_t column_value
    int_of_t value_type
    int64_of_t value_int64
    double_of_t value_double
    bytes_of_t value_text
    bytes_of_t value_blob
    int_of_t value_bytes

cdef Interface sqlite

NAMES = (
    "auto_extension", "cancel_auto_extension", "db_mutex", "mutex_enter", "mutex_leave", "prepare_v2", "step", "finalize",
    "column_count", "errmsg", "column_value", "value_type", "value_int64", "value_double", "value_text", "value_blob",
    "value_bytes",
)


def bind(addresses):
    """Takes the addresses of ``NAMES``, in that order. Once, before all else."""
    cdef size_t[:] at = np.array(addresses, np.uintp)
    assert len(at) == len(NAMES) and all(at)
    sqlite.auto_extension = <auto_extension_t> at[0]
    sqlite.cancel_auto_extension = <auto_extension_t> at[1]
    sqlite.db_mutex = <of_database_t> at[2]
    sqlite.mutex_enter = <on_mutex_t> at[3]
    sqlite.mutex_leave = <on_mutex_t> at[4]
    sqlite.prepare = <prepare_t> at[5]
    sqlite.step = <int_of_t> at[6]
    sqlite.finalize = <int_of_t> at[7]
    sqlite.column_count = <int_of_t> at[8]
    sqlite.errmsg = <message_t> at[9]
    sqlite.column_value = <column_value_t> at[10]
    sqlite.value_type = <int_of_t> at[11]
    sqlite.value_int64 = <int64_of_t> at[12]
    sqlite.value_double = <double_of_t> at[13]
    sqlite.value_text = <bytes_of_t> at[14]
    sqlite.value_blob = <bytes_of_t> at[15]
    sqlite.value_bytes = <int_of_t> at[16]


# -- the handle of a connection

cdef unsigned long opening_thread = 0
cdef void* opened = NULL


cdef int on_open(void* database, char** error, const void* functions) noexcept nogil:
    """SQLite calls this for each connection that is opened in the process, by whatever thread."""
    global opened
    if PyThread_get_thread_ident() == opening_thread:
        opened = database
    return OK


def handle_of(connect):
    """Calls ``connect``, which opens one connection; returns what it returned, and the address of SQLite's connection.

    0 if this SQLite was not the one to open it. One thread at a time.
    """
    global opened, opening_thread
    opened = NULL
    opening_thread = PyThread_get_thread_ident()
    sqlite.auto_extension(<void*> on_open)
    try:
        connection = connect()
    finally:
        sqlite.cancel_auto_extension(<void*> on_open)
        opening_thread = 0
    return connection, <size_t> opened


# -- rows

cdef struct Column:
    int kind
    int64_t* values         # or doubles
    uint8_t* present
    int32_t* offsets        # of texts, which lie in ``content``
    uint8_t* content
    int64_t room


cdef class Statement:
    """One statement of a connection, which is kept open. Used by the thread that uses the connection."""

    cdef object connection
    cdef void* database
    cdef void* statement
    cdef Column* columns
    cdef int32_t* refused
    cdef int count
    cdef bint held
    cdef int64_t most_rows, size_bytes

    def __cinit__(self, connection, size_t handle, str sql, const int32_t[::1] kinds, int64_t size_bytes):
        """``kinds`` are SQLite's numbers of what the values of each column should be. Raises ``sqlite3.Error``."""
        connection.total_changes        # raises if it is closed, or another thread's: then there is no handle
        self.connection, self.database, self.size_bytes = connection, <void*> handle, size_bytes
        self.prepare(sql)
        if sqlite.column_count(self.statement) != len(kinds):
            raise sqlite3.ProgrammingError(f"{len(kinds)} columns were expected")
        self.most_rows = max(1, min(MOST_ROWS, size_bytes // (VALUE_BYTES * max(1, len(kinds)))))
        self.columns = <Column*> calloc(len(kinds) + 1, sizeof(Column))
        self.refused = <int32_t*> calloc(self.most_rows, sizeof(int32_t))
        if self.columns == NULL or self.refused == NULL:
            raise MemoryError()
        for kind in kinds:
            assert INTEGER <= kind <= BLOB
            self.make_room(&self.columns[self.count], kind)
            self.count += 1

    cdef prepare(self, str sql):
        cdef bytes text = sql.encode()
        cdef const char* begin = text
        cdef const char* tail = NULL
        cdef int outcome, size = <int> len(text) + 1
        if b"\0" in text:
            raise sqlite3.ProgrammingError("the query contains a null character")
        with nogil:
            outcome = sqlite.prepare(self.database, begin, size, &self.statement, &tail)
        if outcome != OK:
            self.fail(outcome)
        if self.statement == NULL or text[tail - begin :].strip():
            raise sqlite3.ProgrammingError("You can only execute one statement at a time.")

    cdef make_room(self, Column* column, int kind):
        column.kind = kind
        column.present = <uint8_t*> calloc(self.most_rows, 1)
        if kind >= TEXT:
            column.offsets = <int32_t*> calloc(self.most_rows + 1, sizeof(int32_t))
        else:
            column.values = <int64_t*> calloc(self.most_rows, sizeof(int64_t))
        if column.present == NULL or (column.offsets == NULL and column.values == NULL):
            raise MemoryError()

    def __dealloc__(self):
        cdef int place
        self.close()
        for place in range(self.count + 1 if self.columns != NULL else 0):
            free(self.columns[place].values)
            free(self.columns[place].present)
            free(self.columns[place].offsets)
            free(self.columns[place].content)
        free(self.columns)
        free(self.refused)

    cpdef close(self):
        """Ends the statement; ``next`` finds no more rows. Again and again, if need be."""
        cdef void* statement = self.statement
        self.statement = NULL
        if statement != NULL:
            with nogil:
                sqlite.finalize(statement)

    def next(self):
        """Some rows of together ``size_bytes`` at most, or one that is larger: (columns, refused), None at the end.

        A column is (values, present) or, of texts, (offsets, bytes, present), numpy arrays of bytes; ``refused`` holds
        for each row 0, or 1 + the number of the first column whose value is no such thing. Such a value is not present.
        """
        cdef int64_t rows = 0
        cdef int outcome
        cdef void* mutex
        if self.statement == NULL:
            return None
        with nogil:
            mutex = sqlite.db_mutex(self.database)      # values may be looked at while it is held
            sqlite.mutex_enter(mutex)
            outcome = self.fill(&rows)
            sqlite.mutex_leave(mutex)
        if outcome != ROW and outcome != HELD and outcome != DONE:
            self.fail(outcome)
        if outcome == DONE:
            self.close()
        self.held = outcome == HELD
        if rows == 0:
            return None
        found = [self.taken(&self.columns[place], rows) for place in range(self.count)]
        return found, copied(self.refused, rows * sizeof(int32_t)).view(np.int32)

    cdef fail(self, int outcome):
        message = sqlite.errmsg(self.database).decode(errors="replace")
        self.close()
        if outcome == OUT_OF_MEMORY:
            raise MemoryError()
        raise sqlite3.OperationalError(message)

    cdef tuple taken(self, Column* column, int64_t rows):
        """Copies of what was filled: the room is used again."""
        cdef int64_t size
        present = copied(column.present, rows)
        if column.kind < TEXT:
            return copied(column.values, rows * sizeof(int64_t)), present
        size = column.offsets[rows]
        content = copied(column.content, size)
        if column.room > self.size_bytes + KEPT_BYTES:
            free(column.content)
            column.content, column.room = NULL, 0
        return copied(column.offsets, (rows + 1) * sizeof(int32_t)), content, present

    cdef int fill(self, int64_t* rows) noexcept nogil:
        cdef int64_t size = 0
        cdef int outcome = ROW
        while rows[0] < self.most_rows and (size < self.size_bytes or rows[0] == 0):
            if not self.held:
                outcome = sqlite.step(self.statement)
                if outcome != ROW:
                    return outcome
            self.held = False
            outcome = self.read_row(rows[0], &size)
            if outcome != ROW:
                return outcome
            rows[0] += 1
        return ROW

    cdef inline int read_row(self, int64_t row, int64_t* size) noexcept nogil:
        cdef int place, outcome
        self.refused[row] = 0
        size[0] += VALUE_BYTES * self.count
        if row and size[0] > self.size_bytes:
            return HELD
        for place in range(self.count):
            outcome = self.read_value(&self.columns[place], sqlite.column_value(self.statement, place), row, size)
            if outcome == HELD or outcome == OUT_OF_MEMORY:
                return outcome
            self.columns[place].present[row] = outcome == ROW
            if outcome == DONE and self.refused[row] == 0:
                self.refused[row] = place + 1
        return ROW

    cdef inline int read_value(self, Column* column, void* value, int64_t row, int64_t* size) noexcept nogil:
        """ROW, NOTHING for null, DONE for what the column does not take, or why the row cannot be read now."""
        cdef int kind = sqlite.value_type(value)
        cdef int64_t number
        if column.kind >= TEXT:
            column.offsets[row + 1] = column.offsets[row]
        else:
            column.values[row] = 0          # of a null too: what an earlier row held is nobody's business
        if kind == NOTHING:
            return NOTHING
        if kind == INTEGER and column.kind <= FLOAT:
            number = sqlite.value_int64(value)
            if column.kind == INTEGER:
                column.values[row] = number
                return ROW
            if number < -EXACT or number > EXACT:
                return DONE
            (<double*> column.values)[row] = <double> number
            return ROW
        if kind != column.kind:
            return DONE
        if kind == FLOAT:
            (<double*> column.values)[row] = sqlite.value_double(value)
            return ROW
        return self.read_text(column, value, row, size)

    cdef inline int read_text(self, Column* column, void* value, int64_t row, int64_t* size) noexcept nogil:
        cdef const uint8_t* text
        cdef int64_t length, begin = column.offsets[row]
        text = sqlite.value_text(value) if column.kind == TEXT else sqlite.value_blob(value)
        length = sqlite.value_bytes(value)      # after the text: it may be a different one before
        if text == NULL:
            return OUT_OF_MEMORY if length or column.kind == TEXT else ROW
        size[0] += length
        if row and size[0] > self.size_bytes:
            return HELD
        if begin + length + PAD > column.room and not has_room(column, begin + length + PAD):
            return OUT_OF_MEMORY
        memcpy(column.content + begin, text, length)
        if column.kind == TEXT and not is_ascii(column.content + begin, length) and not is_utf8(text, length):
            return DONE
        column.offsets[row + 1] = <int32_t> (begin + length)
        return ROW


cdef inline bint is_ascii(uint8_t* text, int64_t length) noexcept nogil:
    """Sets the ``PAD`` bytes behind the text to zero, to look at eight bytes at a time to its end."""
    cdef uint64_t eight = 0, all_bits = 0
    cdef int64_t at = 0
    memcpy(text + length, &eight, PAD)
    while at < length:
        memcpy(&eight, text + at, PAD)
        all_bits |= eight
        at += PAD
    return all_bits & 0x8080808080808080ULL == 0


cdef bint has_room(Column* column, int64_t size) noexcept nogil:
    cdef int64_t room = max(size, 2 * column.room)
    cdef void* content = realloc(column.content, room)
    if content == NULL:
        return False
    column.content = <uint8_t*> content
    column.room = room
    return True


cdef copied(const void* content, int64_t size):
    cdef uint8_t[::1] target
    array = np.empty(size, np.uint8)
    if size:
        target = array
        memcpy(&target[0], content, size)
    return array
