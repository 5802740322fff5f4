"""Verifying a table against the hub that it was written from: every record of each commit's range is accounted for.

Files do not hold offsets row by row; a commit's range does, with the rows that it wrote, refused and left out. So
what is compared is their number, range by range, as far as the hub still has the records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ingest.errors import TopicMissing
from ingest.formats import format_named
from ingest.hub.contract import Fetched, Hub, TopicInfo
from ingest.hub.topic_formats import TopicFormats
from ingest.sinks.lake.finding import Finding
from ingest.sinks.lake.ledger import Ledger
from ingest.sinks.lake.manifest import Entry, Range
from ingest.sinks.lake.names import entry_path
from ingest.sinks.lake.store import Store

_READ_BYTES = 4 * 1024 * 1024


class HubCheck:
    """One sink's commits beside the records of ``hub``. ``unchecked`` counts offsets that the hub no longer has, or
    that its own compaction has thinned out."""

    def __init__(self, store: Store, ledger: Ledger, hub: Hub) -> None:
        self._store = store
        self._ledger = ledger
        self._hub = hub
        self._formats = TopicFormats(hub, writable=False)
        self.unchecked = 0

    def run(self, commits: Sequence[Entry]) -> Iterator[Finding]:
        """All commits of the sink, in order."""
        if not commits:
            return
        newest = commits[-1]
        place = self._place(newest)
        if newest.hub_id != self._hub.id:
            yield Finding("error", place, f"it was written from the hub {newest.hub_id}, and this is {self._hub.id}")
            return
        topics: dict[str, TopicInfo] = {}
        for topic, topic_id in newest.topic_ids.items():
            try:
                topics[topic] = self._hub.topic(topic)
            except TopicMissing:
                yield Finding("warning", place, f"the hub has no topic {topic}: its rows cannot be compared")
                continue
            if topics[topic].id != topic_id:
                yield Finding(
                    "error", place, f"the topic {topic} was deleted and made anew since: its offsets are others"
                )
                del topics[topic]
        yield from self._beyond(newest, topics)
        for entry in commits:
            yield from self._applied(entry, topics) if entry.key else self._added(entry, topics)
        if self.unchecked:
            yield Finding("warning", place, f"{self.unchecked} offsets cannot be compared: the hub has let go of them")

    def _beyond(self, newest: Entry, topics: dict[str, TopicInfo]) -> Iterator[Finding]:
        for (topic, partition), offset in newest.offsets.items():
            if topic in topics and offset > (end := self._hub.end_offset(topic, partition)):
                problem = f"the table has {topic}-{partition} up to offset {offset}, and the hub ends at {end}"
                yield Finding("error", self._place(newest), problem)

    def _added(self, entry: Entry, topics: dict[str, TopicInfo]) -> Iterator[Finding]:
        for part in entry.ranges:
            if part.topic in topics:
                yield from self._range(entry, part, topics[part.topic])

    def _applied(self, entry: Entry, topics: dict[str, TopicInfo]) -> Iterator[Finding]:
        """Of a table of current rows: each record of a commit's ranges was merged, or is accounted for."""
        parts = [part for part in entry.ranges if part.topic in topics]
        whole = [self._is_whole(part, topics[part.topic]) for part in parts]
        if not all(whole):
            return
        rows = sum(self._rows_in_hub(part) for part in parts)
        before = sum(letter.stage != "sink" for letter in entry.dead)
        filtered = sum(part.filtered for part in parts)
        if entry.changes + before + filtered != rows:
            problem = (
                f"its ranges hold {rows} rows in the hub, and the commit merged {entry.changes}; transforms refused "
                f"{before} and left out {filtered}"
            )
            yield Finding("error", self._place(entry), problem)

    def _is_whole(self, part: Range, topic: TopicInfo) -> bool:
        """Whether the hub still has every record of a range; else it is counted."""
        thinned = "compact" in topic.config.get("cleanup.policy", "")
        end = self._hub.end_offset(part.topic, part.partition)
        if thinned or part.start < self._hub.start_offset(part.topic, part.partition) or part.end > end:
            self.unchecked += part.end - part.start
            return False
        return True

    def _range(self, entry: Entry, part: Range, topic: TopicInfo) -> Iterator[Finding]:
        if not self._is_whole(part, topic):
            return
        rows = self._rows_in_hub(part)
        written, dead = _accounted(entry, part)
        if written + dead + part.filtered != rows:
            problem = (
                f"{part.topic}-{part.partition} offsets {part.start} to {part.end - 1} hold {rows} rows in the hub, "
                f"and the commit wrote {written}, refused {dead} and left out {part.filtered}"
            )
            yield Finding("error", self._place(entry), problem)

    def _rows_in_hub(self, part: Range) -> int:
        rows, position = 0, part.start
        while position < part.end:
            fetched = self._hub.read(part.topic, part.partition, position, max_bytes=_READ_BYTES)
            if fetched.end <= position:
                break
            rows += self._rows(fetched, part)
            position = fetched.end
        return rows

    def _rows(self, fetched: Fetched, part: Range) -> int:
        if fetched.records is None:
            return 0
        records = fetched.records
        if fetched.end > part.end and records.offsets is not None:
            count = int((records.offsets.to_numpy() < part.end).sum())
            records = records.slice(0, count)
        known = self._formats.get(part.topic)
        if known is None or known.format != "arrow":
            return len(records)
        decoded = format_named("arrow").decode(records, schema=known.schema)
        return len(decoded.records) + sum(len(rejected.rows) for rejected in decoded.rejected)

    def _place(self, entry: Entry) -> str:
        return self._store.describe(entry_path(self._ledger.owner, entry.sequence))


def _accounted(entry: Entry, part: Range) -> tuple[int, int]:
    """Rows written and refused of a partition, by its commit."""
    written = Counter[tuple[str, int]]()
    for file in entry.files:
        written[file.topic, file.partition] += file.rows
    dead = sum((letter.topic, letter.partition) == (part.topic, part.partition) for letter in entry.dead)
    return written[part.topic, part.partition], dead
