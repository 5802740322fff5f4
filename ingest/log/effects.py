"""What decided transactions owe to the partitions: markers and positions, written until they are on disk.

A decision is durable before its effects are. If a failing disk makes a partition cut off an effect that was
not synced yet, it is written again; the order of effects in one partition is always that of the decisions.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from ingest.environment import Environment
from ingest.errors import Closed, IngestError
from ingest.log.partition import AppendInfo, PartitionLog


@dataclass(slots=True)
class _Effect:
    transaction: int
    kind: Literal["marker", "raw"]
    batches: bytearray
    appended: AppendInfo | None = None


class Effects:
    """Queues by partition. Thread-safe."""

    def __init__(self, env: Environment, appended: Callable[[PartitionLog], None]) -> None:
        """``appended`` is told of each partition that got something."""
        self._env = env
        self._appended = appended
        self._owed: dict[PartitionLog, list[_Effect]] = {}
        self._lock = threading.RLock()

    def owe(
        self, log: PartitionLog, batches: bytearray, *, transaction: int, kind: Literal["marker", "raw"] = "marker"
    ) -> None:
        """Adds what ``pay`` will append. ``transaction`` is 0 for an abort."""
        with self._lock:
            self._owed.setdefault(log, []).append(_Effect(transaction, kind, batches))

    def pay(self, log: PartitionLog) -> None:
        """Appends what ``log`` has not got, or has lost. Raises ``StorageFailed``; call again later then."""
        if log not in self._owed:
            return
        with self._lock:
            for effect in self._owed.get(log, ()):
                if effect.appended is None or log.is_cut(effect.appended):
                    now_ms = self._env.clock.now_ms()
                    effect.appended = log.append(effect.batches, now_ms=now_ms, kind=effect.kind, check_crc=False)
            self._appended(log)

    def try_pay(self, logs: Collection[PartitionLog] | None = None) -> None:
        """Pays ``logs`` (None: all) as far as their disks allow; the rest stays owed."""
        for log in list(self._owed) if logs is None else logs:
            try:
                self.pay(log)
            except Closed:
                self.forget(log)  # deleted meanwhile: nobody will read it
            except IngestError:  # stays owed; the next transaction's append to this log raises it
                continue

    def synced(self, log: PartitionLog) -> None:
        """After a sync of ``log``, failed or not: what is on disk is paid for good."""
        if log not in self._owed:
            return
        with self._lock:
            left = [effect for effect in self._owed.get(log, ()) if not _on_disk(log, effect)]
            if left:
                self._owed[log] = left
            else:
                self._owed.pop(log, None)

    def forget(self, log: PartitionLog) -> None:
        """``log`` is being deleted: it is owed nothing any more."""
        with self._lock:
            self._owed.pop(log, None)

    def owing(self) -> Collection[PartitionLog]:
        """The partitions whose effects are not all on disk."""
        with self._lock:
            return list(self._owed)

    def unfinished(self) -> set[int]:
        """The transactions that have effects which are not on disk."""
        with self._lock:
            return {effect.transaction for effects in self._owed.values() for effect in effects}


def _on_disk(log: PartitionLog, effect: _Effect) -> bool:
    appended = effect.appended
    return appended is not None and not log.is_cut(appended) and appended.last_offset < log.high_watermark
