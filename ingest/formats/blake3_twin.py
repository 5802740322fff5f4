"""BLAKE3 of many texts in numpy: what runs where there is no compiler, and what the kernel is held against.

A text is cut into chunks of 1,024 bytes, a chunk into blocks of 64. What has come of a chunk so far is mixed with its
next block, for all chunks at once. The results of two chunks are the block of what stands over them, and so on: a tree
whose left half is always as full as it can be.
"""

from __future__ import annotations

import numpy as np

_BLOCK, _CHUNK = 64, 1024
_START, _END, _PARENT, _ROOT = 1, 2, 4, 8
_KEY = np.array(
    [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19], np.uint32
)
_ORDER = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
_TURNS = 7
_MIXED = (
    *((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)),
    *((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)),
)
"""Columns of the state, then its diagonals."""


def digests(data: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The first 16 bytes of the digest of each text: that from ``ends[n]`` to ``ends[n + 1]``."""
    lengths = np.diff(ends)
    chunks = np.maximum(1, -(-lengths // _CHUNK))
    text = np.repeat(np.arange(len(lengths)), chunks)
    firsts = np.cumsum(chunks) - chunks
    number = np.arange(len(text)) - firsts[text]
    starts = ends[:-1][text] + number * _CHUNK
    sizes = np.minimum(lengths[text] - number * _CHUNK, _CHUNK)
    chains = _of_chunks(data, starts, sizes, number, np.where(chunks[text] == 1, _ROOT, 0))
    found = np.empty((len(lengths), 8), np.uint32)
    found[chunks == 1] = chains[firsts[chunks == 1]]
    for place in np.flatnonzero(chunks > 1).tolist():
        found[place] = _joined(chains[firsts[place] : firsts[place] + chunks[place]], _ROOT)
    return found[:, :4].astype("<u4").view(np.uint8).reshape(-1, 16)


def _of_chunks(
    data: np.ndarray, starts: np.ndarray, sizes: np.ndarray, number: np.ndarray, last: np.ndarray
) -> np.ndarray:
    chains = np.tile(_KEY, (len(starts), 1))
    padded = np.concatenate([data, np.zeros(_BLOCK, np.uint8)])
    for at in range(0, max(1, int(sizes.max(initial=0))), _BLOCK):
        going = np.flatnonzero((sizes > at) | ((sizes == 0) & (at == 0)))
        left = np.minimum(sizes[going] - at, _BLOCK)
        block = padded[np.minimum(starts[going] + at, len(data))[:, None] + np.arange(_BLOCK)]
        block[np.arange(_BLOCK) >= left[:, None]] = 0
        ends = np.where(sizes[going] - at <= _BLOCK, _END | last[going], 0)
        flags = ends | (_START if at == 0 else 0)
        chains[going] = _compressed(chains[going], block.view("<u4"), number[going], left, flags)
    return chains


def _joined(chains: np.ndarray, last: int) -> np.ndarray:
    """The one that stands over all of them."""
    if len(chains) == 1:
        return np.asarray(chains[0])
    half = 1 << (len(chains) - 1).bit_length() - 1
    block = np.concatenate([_joined(chains[:half], 0), _joined(chains[half:], 0)])[None]
    one = np.array([0]), np.array([_BLOCK]), np.array([_PARENT | last])
    return np.asarray(_compressed(_KEY[None], block, *one)[0])


def _compressed(
    chains: np.ndarray, blocks: np.ndarray, number: np.ndarray, sizes: np.ndarray, flags: np.ndarray
) -> np.ndarray:
    """Of each chain mixed with its block; a word a column."""
    words = [number & 0xFFFFFFFF, number >> 32, sizes, flags]
    key = [np.full(len(chains), word) for word in _KEY[:4]]
    state = [*(chains[:, column].copy() for column in range(8)), *key, *(word.astype(np.uint32) for word in words)]
    message = [blocks[:, column].astype(np.uint32) for column in range(16)]
    for _ in range(_TURNS):
        for place, (a, b, c, d) in enumerate(_MIXED):
            for word, right, other in ((message[2 * place], 16, 12), (message[2 * place + 1], 8, 7)):
                state[a] = state[a] + state[b] + word
                state[d] = _rotated(state[d] ^ state[a], right)
                state[c] = state[c] + state[d]
                state[b] = _rotated(state[b] ^ state[c], other)
        message = [message[place] for place in _ORDER]
    return np.column_stack([state[column] ^ state[column + 8] for column in range(8)])


def _rotated(words: np.ndarray, by: int) -> np.ndarray:
    rotated: np.ndarray = (words >> np.uint32(by)) | (words << np.uint32(32 - by))
    return rotated
