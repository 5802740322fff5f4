"""Who may write transactions: each writer's newest epoch, and the producer id that its batches carry."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingest.errors import Fenced
from ingest.log.transaction_state import WriterRecord

if TYPE_CHECKING:
    from ingest.log.transactions import Transaction

MAX_PRODUCER_EPOCH = 32_766  # one below what the batch's 16 bits hold: an abort may carry the next one


@dataclass(slots=True, eq=False)
class WriterState:
    """``lock`` guards ``epoch`` and ``open`` against appends of older epochs."""

    name: str
    epoch: int = 0
    producer_id: int = -1
    producer_epoch: int = -1
    open: Transaction | None = None
    must_renew: bool = False
    """What became of its last transaction is not certain: before the next one the log of decisions must be
    written and synced once more, with a new producer epoch."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def check_newest(self, epoch: int) -> None:
        """Raises ``Fenced`` if ``epoch`` is not the newest. Call with the lock held."""
        if epoch != self.epoch:
            raise Fenced(
                f"writer {self.name!r} of epoch {epoch} was replaced by one of epoch {self.epoch}",
                hint="another process or task runs under the same name; stop one of them",
                writer=self.name,
                epoch=epoch,
                newest=self.epoch,
            )


class Writers:
    """All writers by name. Thread-safe."""

    def __init__(self) -> None:
        self._writers: dict[str, WriterState] = {}
        self._next_producer_id = 0
        self._lock = threading.Lock()

    @classmethod
    def load(cls, records: Iterable[WriterRecord]) -> Writers:
        """From ``__transaction_state``, in log order."""
        writers = cls()
        for record in records:
            writer = writers.named(record.name)
            writer.epoch, writer.producer_id, writer.producer_epoch = (
                record.epoch,
                record.producer_id,
                record.producer_epoch,
            )
            writers._next_producer_id = max(writers._next_producer_id, record.producer_id + 1)
        return writers

    def named(self, name: str) -> WriterState:
        """The writer; one that was never registered has epoch 0."""
        with self._lock:
            return self._writers.setdefault(name, WriterState(name))

    def successor(self, writer: WriterState) -> tuple[int, int]:
        """The producer id and epoch after the writer's present ones: never given out before."""
        if writer.producer_id >= 0 and writer.producer_epoch < MAX_PRODUCER_EPOCH:
            return writer.producer_id, writer.producer_epoch + 1
        with self._lock:
            self._next_producer_id += 1
            return self._next_producer_id - 1, 0
