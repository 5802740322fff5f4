"""Running a pipeline's transforms on given records, without a hub: for ``ingest preview`` and ``ingest test``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingest.connectors import DeadRecords, EndOfInput, Origin, Records, SourceContext, Transform
from ingest.environment import Environment
from ingest.runtime.plan import SourcePlan
from ingest.runtime.transform_chain import States, TransformChain

ENOUGH_REFUSED = 10_000


@dataclass(frozen=True, slots=True)
class Step:
    """What came out of one step: its name, the records, and the reasons of those that it refused."""

    name: str
    records: Sequence[Records]
    refused: Sequence[str]


def steps(records: Sequence[Records], transforms: Sequence[Transform], names: Sequence[str]) -> Iterator[Step]:
    """Sends records through each transform in turn."""
    current = list(records)
    for transform, name in zip(transforms, names, strict=True):
        following: list[Records] = []
        refused: list[str] = []
        chain = TransformChain([transform])
        states: dict[str, States] = {}
        for batch in current:
            if not len(batch):
                continue
            result = chain.apply(batch, states.get(batch.stream, ()))
            states[batch.stream] = result.states
            following += result.records
            refused += [reason for refusal in result.refused for reason in refusal.reasons]
        current = following
        yield Step(name, current, refused)


def as_records(values: Sequence[Any], topic: str) -> Records:
    """Test input: text lines, or mappings of columns."""
    if values and all(isinstance(value, dict) for value in values):
        return Records.from_rows(list(values), topic=topic)
    lines = [value if isinstance(value, str) else str(value) for value in values]
    return Records(value=pa.array(lines, pa.string()), topic=topic, origin=Origin(name="test"), stream="test")


def first_records(source: SourcePlan, base_folder: Path, rows: int) -> tuple[list[Records], list[str]]:
    """The first ``rows`` records that a source gives from its start, and why it refused others. Commits nothing.

    A source that refuses ``ENOUGH_REFUSED`` records before it has given as many rows is looked at no further.
    """
    task = source.connector.tasks(1)[0]
    context = SourceContext(source.name, base_folder, Environment(), until_caught_up=True, max_batch_bytes=256 * 1024)
    found: list[Records] = []
    refused: list[str] = []
    try:
        task.open(context, {})
        while sum(map(len, found)) < rows and len(refused) < ENOUGH_REFUSED:
            polled = task.poll()
            if polled is None:
                continue
            found += polled.records
            refused += _reasons(polled.dead)
    except EndOfInput:
        pass
    finally:
        task.close()
    return _cut(found, rows), refused


def _reasons(dead: Sequence[DeadRecords]) -> list[str]:
    return [reason for records in dead for reason in records.reasons]


def _cut(found: list[Records], rows: int) -> list[Records]:
    kept = []
    for records in found:
        if rows <= 0:
            break
        kept.append(records.slice(0, min(rows, len(records))))
        rows -= len(kept[-1])
    return kept
