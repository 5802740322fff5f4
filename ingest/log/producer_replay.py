"""Producer state at an offset: the newest snapshot before it, and the log from there on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from ingest.errors import CorruptBatch
from ingest.log import batch_walk
from ingest.log.producer_snapshot import read_snapshot
from ingest.log.producer_state import ProducerState
from ingest.log.segment import Segment
from ingest.log.segment_names import SNAPSHOT, file_path, offsets_of
from ingest.log.transaction_index import AbortedTransaction
from ingest.wire.batch import BatchHeader
from ingest.wire.control import decode_marker

# A snapshot keeps each producer's last batch only. The others that a client may send again (it has at most
# five on their way) are looked for in this much of the log before the snapshot.
RETRY_BYTES = 16 << 20


def producers_at(folder: Path, segments: Sequence[Segment], end_offset: int) -> ProducerState:
    """The state after all batches before ``end_offset``. Changes nothing on disk; trusts the log."""
    state, start = _newest_snapshot(folder, end_offset)
    if state is None:
        state, start = ProducerState(), segments[0].base_offset if segments else 0
    elif state.producers:
        _remember_retries(state, segments, start)
    for segment in segments:
        if segment.base_offset >= end_offset or segment.next_offset <= start:
            continue
        file = segment.file()
        position = segment.find(start)
        if position is None:
            continue
        for at, header in batch_walk.headers(file, position, segment.size_bytes):
            if header.base_offset >= end_offset:
                break
            replay(state, header, partial(file.read_at, header.size_bytes, at), segment.last_append_ms)
    return state


def replay(
    state: ProducerState, header: BatchHeader, content: Callable[[], bytes], now_ms: int
) -> list[AbortedTransaction]:
    """Applies a batch that stands on the log; ``content`` is asked for a marker's bytes only."""
    if header.producer_id < 0:
        return []
    update = state.update()
    if header.is_control:
        try:
            marker = decode_marker(content(), header) if header.record_count else None
        except CorruptBatch:
            marker = None  # rotted: its transaction stays open, and the coordinator writes the marker again
        if marker is not None:
            update.add_marker(header, marker, header.base_offset, now_ms)
    else:
        update.add_data(header, header.base_offset, now_ms)
    return state.apply(update)


def _newest_snapshot(folder: Path, end_offset: int) -> tuple[ProducerState | None, int]:
    for offset in reversed(offsets_of(folder, SNAPSHOT)):
        if offset <= end_offset:
            entries = read_snapshot(file_path(folder, offset, SNAPSHOT))
            if entries is not None:
                return ProducerState(entries), offset
    return None, 0


def _remember_retries(state: ProducerState, segments: Iterable[Segment], end_offset: int) -> None:
    """Reads the headers of the last ``RETRY_BYTES`` before ``end_offset``."""
    ranges: list[tuple[Segment, int, int]] = []
    left = RETRY_BYTES
    for segment in sorted(segments, key=lambda each: each.base_offset, reverse=True):
        if segment.base_offset >= end_offset or left <= 0:
            continue
        end = segment.find(end_offset)
        end = segment.size_bytes if end is None else end
        start = segment.offset_index.boundary_before(max(end - left, 0))
        ranges.append((segment, start, end))
        left -= end - start
    for segment, start, end in reversed(ranges):
        for _, header in batch_walk.headers(segment.file(), start, end):
            state.remember(header)
