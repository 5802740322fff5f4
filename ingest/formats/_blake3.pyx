# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""BLAKE3 of many short texts, compiled; ``blake3_twin`` is its oracle, and tells how it goes."""

import numpy as np

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    #define ingest_rotate(word, by) (((word) >> (by)) | ((word) << (32 - (by))))
    """
    uint32_t rotated "ingest_rotate"(uint32_t word, int by) nogil

cdef enum:
    BLOCK = 64
    CHUNK = 1024
    DIGEST = 16
    DEPTH = 54              # of the tree over 2**64 bytes
    CHUNK_START = 1
    CHUNK_END = 2
    PARENT = 4
    ROOT = 8

cdef uint32_t[8] KEY = [
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
]
cdef uint8_t[7][16] ORDER = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
    [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8],
    [3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1],
    [10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6],
    [12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4],
    [9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7],
    [11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13],
]
"""Of the words of a block, turn by turn."""


cdef inline void mix(uint32_t* v, int a, int b, int c, int d, uint32_t x, uint32_t y) noexcept nogil:
    v[a] = v[a] + v[b] + x
    v[d] = rotated(v[d] ^ v[a], 16)
    v[c] = v[c] + v[d]
    v[b] = rotated(v[b] ^ v[c], 12)
    v[a] = v[a] + v[b] + y
    v[d] = rotated(v[d] ^ v[a], 8)
    v[c] = v[c] + v[d]
    v[b] = rotated(v[b] ^ v[c], 7)


cdef void compress(uint32_t* chain, const uint32_t* m, uint64_t counter, uint32_t size, uint32_t flags) noexcept nogil:
    """``m`` is the block; ``chain`` becomes the first half of what comes out."""
    cdef uint32_t[16] v
    cdef const uint8_t* o
    cdef int i, turn
    memcpy(v, chain, 32)
    memcpy(&v[8], KEY, 16)
    v[12] = <uint32_t> counter
    v[13] = <uint32_t> (counter >> 32)
    v[14] = size
    v[15] = flags
    for turn in range(7):
        o = &ORDER[turn][0]
        mix(v, 0, 4, 8, 12, m[o[0]], m[o[1]])
        mix(v, 1, 5, 9, 13, m[o[2]], m[o[3]])
        mix(v, 2, 6, 10, 14, m[o[4]], m[o[5]])
        mix(v, 3, 7, 11, 15, m[o[6]], m[o[7]])
        mix(v, 0, 5, 10, 15, m[o[8]], m[o[9]])
        mix(v, 1, 6, 11, 12, m[o[10]], m[o[11]])
        mix(v, 2, 7, 8, 13, m[o[12]], m[o[13]])
        mix(v, 3, 4, 9, 14, m[o[14]], m[o[15]])
    for i in range(8):
        chain[i] = v[i] ^ v[i + 8]


cdef void of_chunk(uint32_t* chain, const uint8_t* data, int64_t length, uint64_t number, uint32_t last) noexcept nogil:
    cdef uint32_t[16] block
    cdef uint32_t flags = CHUNK_START
    memcpy(chain, KEY, 32)
    while length > BLOCK:
        memcpy(block, data, BLOCK)
        compress(chain, block, number, BLOCK, flags)
        flags = 0
        data += BLOCK
        length -= BLOCK
    memset(block, 0, BLOCK)
    memcpy(block, data, length)
    compress(chain, block, number, <uint32_t> length, flags | CHUNK_END | last)


cdef inline void join(uint32_t* right, const uint32_t* left, uint32_t last) noexcept nogil:
    """``right`` becomes what stands over both."""
    cdef uint32_t[16] block
    memcpy(block, left, 32)
    memcpy(&block[8], right, 32)
    memcpy(right, KEY, 32)
    compress(right, block, 0, BLOCK, PARENT | last)


cdef void of_text(uint8_t* out, const uint8_t* data, int64_t length) noexcept nogil:
    cdef uint32_t[DEPTH][8] waiting
    cdef uint32_t[8] chain
    cdef uint64_t number = 0, whole
    cdef int depth = 0
    if length <= CHUNK:
        of_chunk(chain, data, length, 0, ROOT)
        memcpy(out, chain, DIGEST)
        return
    while length > CHUNK:
        of_chunk(chain, data, CHUNK, number, 0)
        number += 1
        data += CHUNK
        length -= CHUNK
        whole = number
        while whole & 1 == 0:
            depth -= 1
            join(chain, waiting[depth], 0)
            whole >>= 1
        memcpy(waiting[depth], chain, 32)
        depth += 1
    of_chunk(chain, data, length, number, 0)
    while depth:
        depth -= 1
        join(chain, waiting[depth], ROOT if depth == 0 else 0)
    memcpy(out, chain, DIGEST)


def digests(const uint8_t[::1] data, const int64_t[::1] ends):
    """The first 16 bytes of the digest of each text: that from ``ends[n]`` to ``ends[n + 1]``."""
    cdef Py_ssize_t count = ends.shape[0] - 1, n
    found = np.empty((count, DIGEST), np.uint8)
    cdef uint8_t[:, ::1] out = found
    cdef const uint8_t* start = &data[0] if data.shape[0] else <const uint8_t*> KEY
    with nogil:
        for n in range(count):
            of_text(&out[n, 0], start + ends[n], ends[n + 1] - ends[n])
    return found
