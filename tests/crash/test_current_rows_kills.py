"""Changes of SQLite merged into Parquet by a pipeline that is killed: the files hold what the table does."""

from __future__ import annotations

import contextlib
import random
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from crash.program import INGEST, finish, start
from crash.test_sqlite_capture_kills import Workload

from ingest.sinks.lake import manifest
from ingest.sources.sqlite_cdc import capture

PIPELINE = """\
name: shop
hub: ./data
sources:
  - {name: changes, type: sqlite_cdc, url: 'sqlite:///shop.db', tables: [orders], topic: orders, max_batch: 16KiB}
sinks:
  - name: orders
    type: parquet
    mode: apply
    topics: [orders]
    url: ./lake
    memory: 1MiB
    roll: {rows: 100, interval: 100ms}
    merge: {grace: 1s}
"""
KILLS = 15
POINTS = (
    "lake.file.written",
    "lake.file.synced",
    "lake.manifest.before",
    "lake.manifest.put",
    "lake.hide.file",
    "lake.hidden",
    "lake.publish.file",
    "lake.published",
    "lake.opened",
    "lake.strays.removed",
)
ONCE = POINTS[-2:]
"""Reached once in a run."""


@pytest.mark.slow
def test_the_files_hold_what_the_table_holds_after_kills(tmp_path: Path) -> None:
    dice = random.Random(5)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    with closing(Workload(tmp_path / "shop.db", dice).database) as database:
        database.execute("PRAGMA journal_mode = wal")
        database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, code INTEGER UNIQUE, word TEXT)")
    with capture.opened(tmp_path / "shop.db") as opened:
        capture.install(opened, ["orders"], [], lambda: "id")
    workload = Workload(tmp_path / "shop.db", dice)
    for _ in range(50):
        workload.transaction()
    for kill in range(KILLS + len(POINTS)):
        point = POINTS[kill] if kill < len(POINTS) else ""
        count = 1 if point in ONCE else 2
        process = start(tmp_path / "pipeline.yaml", **({"INGEST_FAILPOINTS": f"{point}*{count}"} if point else {}))
        if point:
            write_until_dead(workload, process)
        else:
            for _ in range(dice.choice([5, 40])):
                workload.transaction()
            kill_after(process, dice.uniform(0.8, 2.5))
        assert process.wait() == -9, (tmp_path / "said.txt").read_text()[-4000:]
        seen = duckdb.sql(f"SELECT id FROM '{tmp_path}/lake/*.parquet'").fetchall() if files(tmp_path) else []
        assert len(seen) == len(set(seen)), f"a key is there twice after {point or 'a kill'}"
    finish(tmp_path / "pipeline.yaml")
    table = workload.database.execute("SELECT id, code, word FROM orders ORDER BY id").fetchall()
    workload.database.close()
    assert rows(tmp_path) == table
    assert checked(tmp_path) == (0, "")
    forget_a_change(tmp_path)
    code, said = checked(tmp_path)
    assert code == 1
    assert "the commit merged" in said


def checked(folder: Path) -> tuple[int, str]:
    """What ``ingest check`` finds that is wrong, with every record of the hub looked at."""
    command = [*INGEST, "check", "lake", "--data", "data"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout


def forget_a_change(folder: Path) -> None:
    """As if a commit had merged a record less than there was."""
    for path in sorted(folder.glob("lake/_ingest/*/0*/*.json")):
        entry = manifest.decode(path.read_bytes(), str(path))
        if entry.changes:
            path.write_bytes(manifest.encode(replace(entry, changes=entry.changes - 1)))
            return


def write_until_dead(workload: Workload, process: subprocess.Popen[str]) -> None:
    """The point is reached by what is written meanwhile."""
    for _ in range(1200):
        workload.transaction()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
            return
    process.kill()
    raise AssertionError("the fail point was never reached")


def kill_after(process: subprocess.Popen[str], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()


def files(folder: Path) -> list[Path]:
    return list((folder / "lake").glob("*.parquet"))


def rows(folder: Path) -> list[tuple[Any, ...]]:
    lake = f"read_parquet('{folder}/lake/*.parquet', union_by_name = true)"
    return duckdb.sql(f"SELECT id, code, word FROM {lake} ORDER BY id").fetchall()
