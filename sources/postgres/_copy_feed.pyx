# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
"""Rows of a COPY out of libpq's memory into ours, without the interpreter's lock.

psycopg hands over one row a call, and has Python wait for every few KiB: that costs more than decoding the rows. So
this calls libpq itself, on psycopg's own connection, by the addresses of the functions in the library that psycopg has
loaded.
"""

from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

cdef extern from "poll.h" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd* files, unsigned long count, int timeout_ms)
    short POLLIN

ctypedef int (*GetCopyData)(void* connection, char** row, int asynchronous) noexcept nogil
ctypedef int (*ConsumeInput)(void* connection) noexcept nogil
ctypedef void (*FreeMemory)(void* memory) noexcept nogil

cdef enum:
    MORE = 1        # the memory is full
    LATER = 0       # nothing came for the time given
    END = -1        # of the COPY, or an error of the statement
    BROKEN = -2     # the connection


def feed(size_t connection, tuple functions, int socket, uint8_t[::1] memory, Py_ssize_t at, int wait_ms):
    """Takes rows into ``memory`` from ``at`` on, until it is full or nothing has come for ``wait_ms``.

    ``functions`` are the addresses of PQgetCopyData, PQconsumeInput and PQfreemem. Returns (outcome, at, rows, left):
    the outcome as above; ``left`` is a row for which there was no room, as bytes, or None.
    """
    cdef GetCopyData get = <GetCopyData> <size_t> functions[0]
    cdef ConsumeInput consume = <ConsumeInput> <size_t> functions[1]
    cdef FreeMemory release = <FreeMemory> <size_t> functions[2]
    cdef char* row = NULL
    cdef int size = 0, outcome = MORE, ready
    cdef Py_ssize_t rows = 0, room = memory.shape[0]
    cdef bint full = False, asked = False
    cdef pollfd waiting
    waiting.fd = socket
    waiting.events = POLLIN
    with nogil:
        while True:
            size = get(<void*> connection, &row, 1)
            if size > 0:
                if size > room - at:
                    full = True
                    break
                memcpy(&memory[at], row, size)
                release(row)
                at += size
                rows += 1
                asked = False
                continue
            if size < 0:
                outcome = size
                break
            # While we are the slower one the next piece lies there: no need to ask for it first.
            if asked:
                ready = poll(&waiting, 1, wait_ms)
                if ready == 0 or (ready < 0 and errno == EINTR):
                    outcome = LATER
                    break
                if ready < 0:
                    outcome = BROKEN
                    break
            asked = not asked
            if not consume(<void*> connection):
                outcome = BROKEN
                break
    if not full:
        return outcome, at, rows, None
    try:
        return outcome, at, rows, row[:size]
    finally:
        release(row)


def feed_messages(
    size_t connection, tuple functions, int socket, uint8_t[::1] memory, Py_ssize_t at, int wait_ms, int linger_ms
):
    """As ``feed``, for messages that do not tell their own length: each stands behind it (uint32).

    Returns early once there is something in the memory and nothing more has come for ``linger_ms``, and in any case
    after ``wait_ms``. Memory is full when a message with its length does not fit.
    """
    cdef GetCopyData get = <GetCopyData> <size_t> functions[0]
    cdef ConsumeInput consume = <ConsumeInput> <size_t> functions[1]
    cdef FreeMemory release = <FreeMemory> <size_t> functions[2]
    cdef char* message = NULL
    cdef int size = 0, outcome = MORE, ready, left_ms
    cdef uint32_t length
    cdef Py_ssize_t count = 0, room = memory.shape[0]
    cdef bint full = False
    cdef int64_t until = now_ms() + wait_ms
    cdef pollfd waiting
    waiting.fd = socket
    waiting.events = POLLIN
    with nogil:
        while True:
            size = get(<void*> connection, &message, 1)
            if size > 0:
                if size + 4 > room - at:
                    full = True
                    break
                length = size
                memcpy(&memory[at], &length, 4)
                memcpy(&memory[at + 4], message, size)
                release(message)
                at += size + 4
                count += 1
                continue
            if size < 0:
                outcome = size
                break
            ready = 0
            left_ms = <int> (until - now_ms())
            if left_ms > 0:
                ready = poll(&waiting, 1, min(linger_ms, left_ms) if at else left_ms)
            if ready == 0 or (ready < 0 and errno == EINTR):
                outcome = LATER
                break
            if ready < 0 or not consume(<void*> connection):
                outcome = BROKEN
                break
    if not full:
        return outcome, at, count, None
    try:
        return outcome, at, count, message[:size]
    finally:
        release(message)


cdef inline int64_t now_ms() noexcept nogil:
    cdef timespec moment
    clock_gettime(CLOCK_MONOTONIC, &moment)
    return moment.tv_sec * 1000 + moment.tv_nsec // 1000000
