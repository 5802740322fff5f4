"""The tests that a pipeline file holds: records in, records out."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.connectors import Transform
from ingest.errors import ConfigError
from ingest.pipelines.loader import Pipeline
from ingest.pipelines.spec import TestSpec
from ingest.pipelines.trial import as_records, steps


@dataclass(frozen=True, slots=True)
class TestResult:
    """``problems`` says what differed; empty means passed."""

    __test__ = False

    name: str
    problems: Sequence[str]

    @property
    def passed(self) -> bool:
        return not self.problems


def run_tests(pipeline: Pipeline) -> Iterator[TestResult]:
    """Runs them in the order of the file. Raises ``ConfigError`` for a test that names no source or sink."""
    for test in pipeline.spec.tests:
        transforms = _transforms(pipeline, test)
        records = [as_records(test.input, "test")] if test.input else []
        refused: list[str] = []
        for step in steps(records, transforms, [""] * len(transforms)):
            records = list(step.records)
            refused += step.refused
        rows = [row for batch in records for row in batch.columns().to_pylist()]
        yield TestResult(test.name, [*_row_problems(test.output, rows), *_dead_problems(test.dead or [], refused)])


def _transforms(pipeline: Pipeline, test: TestSpec) -> list[Transform]:
    source = _named("source", test.name, test.source, pipeline.plan.sources)
    transforms = list(source.transforms)
    if test.sink is not None:
        transforms += _named("sink", test.name, test.sink, pipeline.plan.sinks).transforms
    return transforms


def _named(kind: str, test: str, name: str | None, plans: Sequence[Any]) -> Any:
    if name is None and len(plans) == 1:
        return plans[0]
    for plan in plans:
        if plan.name == name:
            return plan
    known = ", ".join(plan.name for plan in plans)
    what = f"there is no {kind} {name}" if name else f"it must name its {kind}"
    raise ConfigError(f"test {test!r}: {what}", hint=f"{kind}s: {known or 'none'}")


def _row_problems(expected: Sequence[Any], rows: Sequence[dict[str, Any]]) -> list[str]:
    problems = [
        f"row {number}: {problem}"
        for number, (want, row) in enumerate(zip(expected, rows, strict=False), 1)
        for problem in _differences(want, row)
    ]
    if len(expected) != len(rows):
        problems.append(f"{len(expected)} rows expected, {len(rows)} came out")
        problems += [f"not expected: {_shown(row)}" for row in rows[len(expected) :][:5]]
    return problems


def _differences(want: Any, row: dict[str, Any]) -> Iterator[str]:
    """A value that is no mapping is compared with the column ``value``."""
    columns = want if isinstance(want, dict) else {"value": want}
    for name, value in columns.items():
        if name not in row:
            yield f"there is no column {name}; the row has {', '.join(row)}"
        elif not _same(value, row[name]):
            yield f"{name} is {_shown(row[name])}, not {_shown(value)}"


def _same(want: Any, found: Any) -> bool:
    if isinstance(found, datetime.datetime | datetime.date) and isinstance(want, str):
        return _shown(found) == want or found.isoformat() == want or str(found) == want
    if isinstance(found, bytes) and isinstance(want, str):
        return found == want.encode()
    return bool(want == found) and isinstance(want, bool) == isinstance(found, bool)


def _shown(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return value.isoformat().replace("+00:00", "Z")
    return repr(value)


def _dead_problems(expected: Sequence[str], refused: Sequence[str]) -> list[str]:
    problems = [
        f"dead letter {number}: the reason is {reason!r}, which does not contain {text!r}"
        for number, (text, reason) in enumerate(zip(expected, refused, strict=False), 1)
        if text not in reason
    ]
    if len(expected) != len(refused):
        problems.append(f"{len(expected)} dead letters expected, {len(refused)} came: {list(refused)[:5]}")
    return problems
