"""What compaction does with transactions: the data of aborted ones goes, and a marker after all its data has.

Batches must be shown in the order of the log, each once.
"""

from __future__ import annotations

from collections.abc import Iterable

from ingest.log.transaction_index import AbortedTransaction
from ingest.wire.batch import BatchHeader
from ingest.wire.control import Marker


class TransactionCleaner:
    """``aborted`` are all aborted transactions that touch what is compacted."""

    def __init__(self, aborted: Iterable[AbortedTransaction]) -> None:
        self._coming = sorted(aborted, key=lambda entry: entry.first_offset, reverse=True)
        self._aborting: dict[int, AbortedTransaction] = {}
        self._has_data: set[int] = set()  # producers whose present transaction still has batches
        self.kept: list[AbortedTransaction] = []

    def drops_data(self, header: BatchHeader) -> bool:
        """Whether a batch of data is void."""
        self._advance(header.last_offset)
        if not header.is_transactional:
            return False
        self._has_data.add(header.producer_id)
        return header.producer_id in self._aborting

    def spent(self, header: BatchHeader, marker: Marker | None) -> bool:
        """Whether nobody needs a marker any more: no batch of its transaction was left when this pass began.

        ``marker`` is None for a control batch that was emptied before.
        """
        self._advance(header.last_offset)
        had_data = header.producer_id in self._has_data
        self._has_data.discard(header.producer_id)
        if marker is None:
            return True
        aborted = self._aborting.pop(header.producer_id, None) if marker is Marker.ABORT else None
        if aborted is not None and had_data:
            self.kept.append(aborted)
        return not had_data

    def _advance(self, offset: int) -> None:
        while self._coming and self._coming[-1].first_offset <= offset:
            aborted = self._coming.pop()
            self._aborting[aborted.producer_id] = aborted
