"""The audit that every crash test ends with: each input line is in the lake or in the dead letters, exactly once."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import pyarrow.dataset as ds
from crash.program import INGEST
from crash.site import Site


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


def assert_exactly_once(site: Site) -> None:
    """Nothing lost, nothing twice; says which."""
    found, dead = lake_ids(site.lake), dead_values(site.pipeline)
    dead_lines = Counter({value: count for value, count in dead.items() if value in site.bad_lines})
    dead_rows = Counter(
        _id(value) for value, count in dead.items() if value not in site.bad_lines for _ in range(count)
    )
    bad_rows = Counter(site.bad_rows)
    differences = {
        "lost": site.good - found,
        "doubled": found - site.good,
        "dead lines lost": site.bad_lines - dead_lines,
        "dead lines doubled": dead_lines - site.bad_lines,
        "dead rows lost": bad_rows - dead_rows,
        "dead rows doubled": dead_rows - bad_rows,
    }
    wrong = {
        what: dict(which.most_common(5)) | {"(in all)": which.total()} for what, which in differences.items() if which
    }
    assert not wrong, wrong


def _id(value: str) -> str:
    """A row that a sink refused is kept as JSON."""
    return str(json.loads(value)["id"])
