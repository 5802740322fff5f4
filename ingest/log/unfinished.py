"""What a crash left between the decision of a transaction and its effects, finished when the hub opens.

A transaction that is open in some partition was committed exactly if the log of decisions names its
producer, that topic's id, the partition and its first offset; anything else open is aborted. Positions are
written again from the first decision whose positions are missing: ``_ingest_positions`` always holds those
of a prefix of the decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ingest.log.coordinator import Coordinator
from ingest.log.internal_table import entries_of
from ingest.log.partition import PartitionLog
from ingest.log.positions import PositionTable
from ingest.log.readable import ReadableLog
from ingest.log.transaction_state import WriterRecord, parse_entry
from ingest.log.writers import Writers


@dataclass(frozen=True, slots=True)
class Books:
    """What the logs of decisions and positions hold."""

    writers: Writers
    positions: PositionTable
    decisions: Sequence[WriterRecord]
    last_transaction: int

    def without_positions(self) -> list[WriterRecord]:
        """The decisions whose positions did not reach their log, in order."""
        return [record for record in self.decisions if record.transaction > self.positions.applied]


def read_books(state_log: ReadableLog, positions_log: ReadableLog) -> Books:
    """Reads both logs whole."""
    records = [parse_entry(key, value) for key, value in entries_of(state_log) if value is not None]
    positions = PositionTable.load(positions_log)
    decisions = [record for record in records if record.state == "committed"]
    last = max([positions.applied, *(record.transaction for record in records)])
    return Books(Writers.load(records), positions, decisions, last)


def finish(
    coordinator: Coordinator,
    books: Books,
    logs: Iterable[tuple[str, PartitionLog]],
    report: Callable[[str], None],
) -> None:
    """Appends the missing markers and positions; ``logs`` are all partitions with their topics' ids."""
    decided = {
        (record.producer_id, part.topic_id, part.partition, part.first): record.transaction
        for record in books.decisions
        for part in record.parts
    }
    committed = aborted = 0
    for topic_id, log in logs:
        for producer_id, (producer_epoch, first) in log.open_transactions().items():
            transaction = decided.get((producer_id, topic_id, log.partition, first), 0)
            coordinator.owe_marker(log, producer_id, producer_epoch, transaction=transaction)
            committed, aborted = committed + bool(transaction), aborted + (not transaction)
    for record in books.without_positions():
        coordinator.owe_positions(record)
    if committed or aborted:
        report(f"finished transactions that a crash left open: {committed} committed, {aborted} aborted (by partition)")
    coordinator.effects.try_pay()
