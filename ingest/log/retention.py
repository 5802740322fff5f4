"""Which segments have outlived the topic's settings.

Age counts from the last append to a segment, by the clock of the appender; it is kept as the modification
time of the ``.log`` file, so it survives restarts and needs no file of its own. Times that the records carry
count instead where the topic says so (``ingest.retention.by=record``). A modification time ahead of the
clock counts as now: a clock that was once wrong must not keep a segment for ever, nor drop it at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingest.log.segment import Segment
from ingest.log.topic_config import TopicConfig


def outlived(segments: Sequence[Segment], config: TopicConfig, now_ms: int, log_start: int, keep_from: int) -> int:
    """How many of the oldest segments go. None that reaches beyond ``keep_from`` does.

    Segments before ``log_start`` go whatever the settings say. The last segment counts like the others: if it
    goes, the caller has a new one to put in its place.
    """
    gone = 0
    size = sum(segment.size_bytes for segment in segments)
    for segment, following in zip(segments, [*segments[1:], None], strict=True):
        end = following.base_offset if following else segment.next_offset
        below_start = following is not None and end <= log_start
        old = below_start or (config.deletes and _is_old(segment, config, now_ms))
        large = config.deletes and 0 <= config.retention_bytes <= size - segment.size_bytes
        if end > keep_from or (not segment.size_bytes and following is None) or not (old or large):
            break
        size -= segment.size_bytes
        gone += 1
    return gone


def _is_old(segment: Segment, config: TopicConfig, now_ms: int) -> bool:
    if config.retention_ms < 0:
        return False
    written = segment.last_append_ms
    if config.ingest_retention_by == "record" and segment.largest_timestamp() >= 0:
        written = segment.largest_timestamp()
    if written > now_ms:
        segment.last_append_ms = min(segment.last_append_ms, now_ms)
    return now_ms - written > config.retention_ms
