# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Messages of a replication stream to arrays, compiled; ``messages_twin`` is its oracle.

The memory holds frames: the length of a message (uint32, as this machine has it), then the message, as CopyData brought
it. Those that begin with ``w`` carry pgoutput (PostgreSQL manual, "Logical Replication Message Formats"), ``k`` is a
keepalive. All numbers in messages are big-endian.
"""

import numpy as np

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    uint16_t bswap16 "__builtin_bswap16"(uint16_t) nogil
    uint32_t bswap32 "__builtin_bswap32"(uint32_t) nogil
    uint64_t bswap64 "__builtin_bswap64"(uint64_t) nogil

cdef enum:
    XLOG_HEADER = 25        # w, start, end, time
    KEEPALIVE = 18          # k, end, time, reply
    BEGIN = 21              # B, commit, time, xid
    COMMIT = 26             # C, flags, commit, end, time


cdef inline uint16_t be16(const uint8_t* at) noexcept nogil:
    cdef uint16_t value
    memcpy(&value, at, 2)
    return bswap16(value)


cdef inline uint32_t be32(const uint8_t* at) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, at, 4)
    return bswap32(value)


cdef inline int64_t be64(const uint8_t* at) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, at, 8)
    return <int64_t> bswap64(value)


def scan(const uint8_t[::1] data, tuple carried):
    """What the frames in ``data`` hold, without the values.

    ``carried`` and the last of what is returned are (inside, commit, time, xid, done): whether a transaction has begun
    and not ended, and of it the numbers and how many changes have passed. Returns (changes, transactions, relations,
    end, reply, carried):

    ``changes``       int64[8, n]: relation, letter of the operation, LSN, index of its transaction, number in it, place
                      of the old row or -1, whether that is the whole row, place of the new row or -1
    ``transactions``  int64[4, t]: commit LSN, end LSN (0 if it has not ended), time (microseconds since 2000), xid
    ``relations``     (index of the change before which it came, place of the message, its length), each
    ``end``           the LSN up to which all was sent, if no transaction is open behind it; 0 if that was not told
    ``reply``         whether the server wants to hear from us

    Raises ``ValueError`` for bytes that are no such messages.
    """
    cdef Py_ssize_t changes = 0, transactions = 1 if carried[0] else 0, relations = 0
    if not measured(data, &changes, &transactions, &relations):
        raise ValueError("a message of the replication stream cannot be read")
    change_array = np.zeros((8, changes + 1), np.int64)
    transaction_array = np.zeros((4, transactions + 1), np.int64)
    relation_array = np.zeros((3, relations + 1), np.int64)
    cdef int64_t[:, ::1] change = change_array
    cdef int64_t[:, ::1] transaction = transaction_array
    cdef int64_t[:, ::1] relation = relation_array
    cdef int64_t[7] state = [carried[0], carried[1], carried[2], carried[3], carried[4], 0, 0]
    cdef bint good
    with nogil:
        good = filled(data, change, transaction, relation, state)
    if not good:
        raise ValueError("a message of the replication stream cannot be read")
    return (
        change_array[:, :changes],
        transaction_array[:, :transactions],
        [tuple(each) for each in relation_array[:, :relations].T.tolist()],
        int(state[5]),
        bool(state[6]),
        (bool(state[0]), int(state[1]), int(state[2]), int(state[3]), int(state[4])),
    )


cdef bint measured(
    const uint8_t[::1] data, Py_ssize_t* changes, Py_ssize_t* transactions, Py_ssize_t* relations
) noexcept nogil:
    """Counts, and checks that frames are whole and no shorter than what is read of each."""
    cdef Py_ssize_t at = 0, size = data.shape[0], length
    cdef uint32_t said
    cdef const uint8_t* message
    cdef uint8_t letter
    while at < size:
        if size - at < 4:
            return False
        memcpy(&said, &data[at], 4)
        length = said
        at += 4
        if length < 1 or size - at < length:
            return False
        message = &data[at]
        at += length
        if message[0] == c'k':
            if length < KEEPALIVE:
                return False
            continue
        if message[0] != c'w' or length <= XLOG_HEADER:
            return False
        message += XLOG_HEADER
        length -= XLOG_HEADER
        letter = message[0]
        if letter == c'B':
            if length < BEGIN:
                return False
            transactions[0] += 1
        elif letter == c'C':
            if length < COMMIT:
                return False
        elif letter == c'R':
            relations[0] += 1
        elif letter == c'T':
            if length < 6 or length - 6 < 4 * <Py_ssize_t> be32(message + 1):
                return False
            changes[0] += be32(message + 1)
        elif letter == c'I' or letter == c'U' or letter == c'D':
            if length < 8:
                return False
            changes[0] += 1
    return True


cdef bint filled(
    const uint8_t[::1] data, int64_t[:, ::1] change, int64_t[:, ::1] transaction, int64_t[:, ::1] relation,
    int64_t* state
) noexcept nogil:
    """``state``: inside, commit, time, xid, done, end, reply."""
    cdef Py_ssize_t at = 0, size = data.shape[0], length, row = 0, number = -1, described = 0, each
    cdef uint32_t said
    cdef const uint8_t* message
    cdef uint8_t letter
    if state[0]:
        number = 0
        transaction[0, 0], transaction[2, 0], transaction[3, 0] = state[1], state[2], state[3]
    while at < size:
        memcpy(&said, &data[at], 4)
        length = said
        at += 4
        message = &data[at]
        at += length
        if message[0] == c'k':
            if not state[0]:
                state[5] = max(state[5], be64(message + 1))
            state[6] = state[6] or message[17] != 0
            continue
        letter = message[XLOG_HEADER]
        if letter == c'I' or letter == c'U' or letter == c'D':
            if not state[0] or not located(&data[0], message, length, change, row):
                return False
            change[3, row], change[4, row] = number, state[4]
            state[4] += 1
            row += 1
        elif letter == c'B':
            if state[0]:
                return False
            number += 1
            message += XLOG_HEADER
            state[0], state[1], state[2], state[3], state[4] = 1, be64(message + 1), be64(message + 9), be32(message + 17), 0
            transaction[0, number], transaction[2, number], transaction[3, number] = state[1], state[2], state[3]
        elif letter == c'C':
            if not state[0]:
                return False
            state[0] = 0
            state[5] = be64(message + XLOG_HEADER + 10)
            transaction[1, number] = state[5]
        elif letter == c'R':
            relation[0, described], relation[1, described] = row, message + XLOG_HEADER - &data[0]
            relation[2, described] = length - XLOG_HEADER
            described += 1
        elif letter == c'T':
            if not state[0]:
                return False
            for each in range(<Py_ssize_t> be32(message + XLOG_HEADER + 1)):
                change[0, row], change[1, row] = be32(message + XLOG_HEADER + 6 + 4 * each), c'T'
                change[2, row], change[3, row], change[4, row] = be64(message + 1), number, state[4]
                change[5, row], change[7, row] = -1, -1
                state[4] += 1
                row += 1
    return True


cdef inline bint located(
    const uint8_t* begin, const uint8_t* message, Py_ssize_t length, int64_t[:, ::1] change, Py_ssize_t row
) noexcept nogil:
    """Where the rows of an insert, update or delete lie."""
    cdef const uint8_t* end = message + length
    cdef const uint8_t* at = message + XLOG_HEADER
    cdef uint8_t letter = at[0]
    change[0, row], change[1, row], change[2, row] = be32(at + 1), letter, be64(message + 1)
    change[5, row], change[7, row] = -1, -1
    at += 5
    if at[0] == c'K' or at[0] == c'O':
        if letter == c'I':
            return False
        change[5, row], change[6, row] = at + 1 - begin, at[0] == c'O'
        at = after_row(at + 1, end)
        if at == NULL:
            return False
    if letter == c'D':
        return change[5, row] >= 0 and at == end
    if end - at < 3 or at[0] != c'N':
        return False
    change[7, row] = at + 1 - begin
    return after_row(at + 1, end) == end


cdef inline const uint8_t* after_row(const uint8_t* at, const uint8_t* end) noexcept nogil:
    """NULL where it is no row."""
    cdef int columns
    cdef uint32_t length
    if end - at < 2:
        return NULL
    columns = be16(at)
    at += 2
    while columns:
        if end - at < 1:
            return NULL
        if at[0] == c't':
            if end - at < 5:
                return NULL
            length = be32(at + 1)
            at += 5
            if end - at < length:
                return NULL
            at += length
        elif at[0] == c'n' or at[0] == c'u':
            at += 1
        else:
            return NULL
        columns -= 1
    return at
