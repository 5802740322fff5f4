"""Where the next record of a partition stands: markers, and what was aborted, take offsets and are no records."""

from __future__ import annotations

from ingest.connectors import TopicPartition
from ingest.hub.contract import Hub


def next_record(hub: Hub, place: TopicPartition, offset: int) -> int:
    """The offset of the first record at or after ``offset`` that readers see, or the end if there is none.

    What was deleted is no record either. Reads one batch, more only over what was aborted.
    """
    at = max(offset, hub.start_offset(*place))
    end = hub.end_offset(*place)
    while at < end:
        fetched = hub.read(*place, at, max_bytes=1, want_headers=False)
        if fetched.records is not None and fetched.records.offsets is not None:
            return int(fetched.records.offsets[0].as_py())
        if fetched.end <= at:
            break
        at = fetched.end
    return at
