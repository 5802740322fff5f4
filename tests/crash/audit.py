"""The audit that every crash test ends with: each input line is in the lake or in the dead letters, exactly once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.dataset as ds

INGEST = [sys.executable, "-m", "ingest"]


def lake_ids(lake: Path) -> Counter[str]:
    """The ``id`` of each row that a reader which simply globs the folder sees."""
    files = [str(path) for path in sorted(lake.rglob("*.parquet"))]
    found: Counter[str] = Counter()
    for file in files:
        table = ds.dataset(file).to_table(columns=["id"])
        found.update(table.column("id").to_pylist())
    return found


def dead_values(pipeline: Path) -> Counter[str]:
    """The value of each dead letter, by the command that users have for it."""
    done = subprocess.run(
        [*INGEST, "dead-letters", "list", str(pipeline), "--json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return Counter(json.loads(line)["value"] for line in done.stdout.splitlines())


def assert_exactly_once(pipeline: Path, lake: Path, good: Counter[str], bad: Counter[str]) -> None:
    """Nothing lost, nothing twice; says which."""
    found, dead = lake_ids(lake), dead_values(pipeline)
    differences = {
        "lost": good - found,
        "doubled": found - good,
        "dead letters lost": bad - dead,
        "dead letters doubled": dead - bad,
    }
    wrong = {
        what: dict(which.most_common(5)) | {"(in all)": which.total()} for what, which in differences.items() if which
    }
    assert not wrong, wrong
