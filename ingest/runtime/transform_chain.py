"""A pipeline's transforms, one after the other, with every refused row traced back to where it entered."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.connectors import Records, Rejected, State, Transform
from ingest.errors import ConnectorError

States = Sequence[State | None]
"""One per transform, in order; None: it has none yet."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Rows that a step refused: ``rows`` are indices into the batch that entered the chain."""

    rows: pa.Array
    reasons: Sequence[str]
    stage: str
    error: str


@dataclass(frozen=True, slots=True)
class ChainResult:
    """What goes on, what was refused, how many rows were left out (less those added), and the stream's states
    after this batch."""

    records: Sequence[Records]
    refused: Sequence[Refusal]
    states: States
    filtered: int = 0


class TransformChain:
    """Transforms in order. Thread-safe: tasks of one source share it, one batch at a time."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self._transforms = transforms
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._transforms)

    def apply(self, records: Records, states: States = ()) -> ChainResult:
        """Sends a batch of one stream through; ``rows`` are set here. Raises what a transform raises."""
        batches = [replace(records, rows=pa.array(np.arange(len(records), dtype=np.int64)))]
        if not self._transforms:
            return ChainResult(batches, (), states)
        refused: list[Refusal] = []
        after = list(states) or [None] * len(self._transforms)
        with self._lock:
            for number, transform in enumerate(self._transforms):
                batches, after[number] = _step(transform, batches, after[number], refused)
        filtered = len(records) - sum(map(len, batches)) - sum(len(refusal.rows) for refusal in refused)
        return ChainResult(batches, refused, after, filtered)

    def restored(self, stored: Sequence[Mapping[str, Any] | None]) -> States:
        """States as they were committed, for the transforms as they are now.

        After an edit of the pipeline file the lists differ in length; then what was remembered goes, in
        order, to those transforms that remember.
        """
        if len(stored) == len(self._transforms):
            return list(stored)
        remembered = iter([state for state in stored if state is not None])
        return [next(remembered, None) if transform.stateful else None for transform in self._transforms]


def _step(
    transform: Transform, batches: Sequence[Records], state: State | None, refused: list[Refusal]
) -> tuple[list[Records], State | None]:
    """One transform over all batches that the ones before it made of the entering batch."""
    after: list[Records] = []
    stage = stage_name(transform)
    for batch in batches:
        if not len(batch):
            continue
        result = transform.apply(batch, state if state is not None else {})
        if result.state is not None:
            state = result.state
        for rejected in result.rejected:
            if len(rejected.rows):
                refused.append(refusal_of(batch, rejected, stage))
        after += [_checked(records, stage) for records in result.records if len(records)]
    return after, state


def refusal_of(batch: Records, rejected: Rejected, stage: str) -> Refusal:
    """What a step said of its own input, told of the batch that entered the chain."""
    rows: pa.Array = batch.rows
    return Refusal(rows.take(rejected.rows), rejected.reasons, stage, rejected.error)


def _checked(records: Records, stage: str) -> Records:
    if records.rows is None or len(records.rows) != len(records.value):
        raise ConnectorError(
            f"the transform {stage} lost track of where its rows came from",
            hint="derive the output with Records.filter, take, slice and with_value, or dataclasses.replace",
        )
    return records


def stage_name(transform: Transform) -> str:
    """How dead letters name a transform: its class, in lower case."""
    return type(transform).__name__.lower()
