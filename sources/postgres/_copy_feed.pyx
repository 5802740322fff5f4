# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
"""Rows of a COPY out of libpq's memory into ours, without the interpreter's lock.

psycopg hands over one row a call, and has Python wait for every few KiB: that costs more than decoding the rows. So
this calls libpq itself, on psycopg's own connection, by the addresses of the functions in the library that psycopg has
loaded.
"""

from libc.errno cimport EINTR, errno
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

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
    cdef bint full = False
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
                continue
            if size < 0:
                outcome = size
                break
            ready = poll(&waiting, 1, wait_ms)
            if ready == 0 or (ready < 0 and errno == EINTR):
                outcome = LATER
                break
            if ready < 0 or not consume(<void*> connection):
                outcome = BROKEN
                break
    if not full:
        return outcome, at, rows, None
    try:
        return outcome, at, rows, row[:size]
    finally:
        release(row)
