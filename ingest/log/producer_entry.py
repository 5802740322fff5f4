"""What a partition knows of one producer: its epoch, its last five batches, its open transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ingest.errors import Fenced, RecordInvalid, SequenceOutOfOrder
from ingest.wire.batch import BatchHeader

KEPT_BATCHES = 5
MAX_SEQUENCE = 2**31 - 1
# There is one transaction coordinator, and it never changes.
COORDINATOR_EPOCH = 0


@dataclass(frozen=True, slots=True)
class AppendedBatch:
    """A batch of an idempotent producer: sequences and the offset of its last record."""

    first_sequence: int
    last_sequence: int
    last_offset: int
    timestamp_ms: int

    @property
    def offset_delta(self) -> int:
        delta = self.last_sequence - self.first_sequence
        return delta if delta >= 0 else delta + MAX_SEQUENCE + 1

    @property
    def first_offset(self) -> int:
        return self.last_offset - self.offset_delta


@dataclass(frozen=True, slots=True)
class ProducerEntry:
    """Immutable: an append makes a new one, which counts only once the bytes are written.

    ``last_ms`` is when the producer was last heard of; ``transaction_start`` the first offset of its open
    transaction, or -1.
    """

    producer_id: int
    epoch: int
    batches: tuple[AppendedBatch, ...] = ()
    last_ms: int = -1
    coordinator_epoch: int = -1
    transaction_start: int = -1

    @property
    def last_sequence(self) -> int:
        return self.batches[-1].last_sequence if self.batches else -1

    def duplicate_of(self, header: BatchHeader) -> AppendedBatch | None:
        """The batch kept here that ``header`` is a retry of."""
        if header.producer_epoch != self.epoch:
            return None
        sequences = (header.base_sequence, header.last_sequence)
        for batch in self.batches:
            if (batch.first_sequence, batch.last_sequence) == sequences:
                return batch
        return None

    def check_epoch(self, epoch: int) -> None:
        if epoch < self.epoch:
            raise Fenced(
                f"producer {self.producer_id} appended with epoch {epoch}, but its epoch is {self.epoch}",
                hint="a newer instance of this writer is running, or ran: this one must stop",
                producer_id=self.producer_id,
            )

    def check_sequence(self, header: BatchHeader) -> None:
        """A new epoch begins at 0, the same one goes on where it was (KIP-98)."""
        if header.producer_epoch != self.epoch:
            expected = 0
        else:
            expected = 0 if self.last_sequence == MAX_SEQUENCE else self.last_sequence + 1
        if header.base_sequence != expected:
            raise SequenceOutOfOrder(
                f"producer {self.producer_id} (epoch {header.producer_epoch}) sent sequence "
                f"{header.base_sequence}, expected {expected}",
                producer_id=self.producer_id,
                sequence=header.base_sequence,
                expected=expected,
            )

    def check_transaction(self, header: BatchHeader) -> None:
        if self.transaction_start >= 0 and not header.is_transactional and header.producer_epoch == self.epoch:
            raise RecordInvalid(
                f"producer {self.producer_id} sent a batch outside of the transaction that it has open",
                producer_id=self.producer_id,
            )

    def with_batch(self, header: BatchHeader, base_offset: int, now_ms: int) -> ProducerEntry:
        """After a batch of data at ``base_offset``; a batch without a sequence is not remembered for retries."""
        last_offset = base_offset + header.last_offset_delta
        kept = self.batches if header.producer_epoch == self.epoch else ()
        if header.base_sequence >= 0:
            batch = AppendedBatch(header.base_sequence, header.last_sequence, last_offset, header.max_timestamp)
            kept = (*kept, batch)[-KEPT_BATCHES:]
        start = self.transaction_start
        if header.is_transactional and start < 0:
            start = base_offset
        return replace(self, epoch=header.producer_epoch, batches=kept, last_ms=now_ms, transaction_start=start)

    def with_marker(self, epoch: int, now_ms: int) -> ProducerEntry:
        """After the marker that ends its transaction; an epoch that the marker raises forgets the sequences."""
        return replace(
            self,
            epoch=epoch,
            batches=self.batches if epoch == self.epoch else (),
            last_ms=now_ms,
            coordinator_epoch=COORDINATOR_EPOCH,
            transaction_start=-1,
        )
