"""Records that wait for their commit, in memory, by table and in their order."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.connectors import DeadLetter, Delivery, Records, TopicPartition
from ingest.sinks.changes.rows import Rows
from ingest.sinks.sql.tables import TableName, table_named


@dataclass(slots=True)
class Waiting:
    """``places`` numbers the partitions they came from."""

    tables: dict[TableName, list[tuple[Records, int]]] = field(default_factory=dict)
    places: list[TopicPartition] = field(default_factory=list)
    rows: int = 0
    size_bytes: int = 0

    def take(self, delivery: Delivery, template: str) -> None:
        """``template`` names the table of a topic."""
        origin = TopicPartition(delivery.topic, delivery.partition)
        if origin not in self.places:
            self.places.append(origin)
        place = self.places.index(origin)
        for records in delivery.records:
            if len(records):
                self.tables.setdefault(table_named(template, delivery.topic), []).append((records, place))
                self.rows += len(records)
                self.size_bytes += records.nbytes

    def letters(self, rows: Rows, error: str, reason: str) -> list[DeadLetter]:
        """Names the records of these rows, which are refused."""
        places, offsets, inside = (column.to_pylist() for column in rows.origin.columns)
        return [
            DeadLetter(self.places[place].topic, self.places[place].partition, offset, row, "sink", error, reason)
            for place, offset, row in zip(places, offsets, inside, strict=True)
        ]
