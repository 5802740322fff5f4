"""Changes of a table to a synced hub: how many a second, and for how much CPU.

    python -m benchmarks.changes [--transactions 400] [--runs 3]

A PostgreSQL server of its own; transactions of 600 inserts and 400 updates of a table of 18 columns wait in the slot
before the first run. Each run begins from a copy of the slot and of the hub, and is a process ``ingest run
--until-caught-up``; a run that finds nothing is measured too, and its CPU taken off. CPU is that of the process, user
and system; the server's is not counted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from servers.postgres import PostgresServer, postgres_server

TABLE = """
CREATE TABLE lineitem (
  l_orderkey bigint, l_partkey integer, l_suppkey integer, l_linenumber integer, l_quantity numeric(15,2),
  l_extendedprice numeric(15,2), l_discount numeric(15,2), l_tax numeric(15,2), l_returnflag char(1),
  l_linestatus char(1),
  l_shipdate date, l_commitdate date, l_receiptdate date, l_shipinstruct varchar(25), l_shipmode varchar(10),
  l_comment varchar(44), updated_at timestamptz, id bigint PRIMARY KEY)"""
INSERTS = """
INSERT INTO lineitem SELECT n, n % 20000, n % 1000, n % 7, n % 50, n * 1.37, 0.05, 0.07, 'N', 'O',
  date '1996-01-01' + n % 2000, date '1996-02-01' + n % 2000,
  CASE WHEN n % 20 = 0 THEN NULL ELSE date '1996-03-01' + n % 2000 END,
  'DELIVER IN PERSON', 'TRUCK', 'egular courts above the ' || n, now(), n
FROM generate_series({first}, {first} + 599) n"""
UPDATES = """
UPDATE lineitem SET l_quantity = l_quantity + 1, l_comment = 'changed ' || id, updated_at = now()
WHERE id BETWEEN {first} AND {first} + 399"""
PIPELINE = """\
name: changes
hub: ./data
sources:
  - {{name: shop, type: postgres_cdc, url: "{url}", tables: [lineitem], snapshot: never, topic: "{{table}}"}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transactions", type=int, default=400)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with postgres_server() as server, tempfile.TemporaryDirectory() as folder:
        base = prepared(server, Path(folder), options.transactions)
        idle = run(server, base, Path(folder) / "idle", drained=True)[1]
        changes = options.transactions * 1000
        results = [run(server, base, Path(folder) / f"run{number}") for number in range(options.runs)]
        report(results, changes, idle)


def prepared(server: PostgresServer, folder: Path, transactions: int) -> Path:
    """A pipeline that has made its slot, and changes that wait in it; the slot itself is kept aside."""
    url = server.database()
    server.execute(TABLE, url=url)
    base = folder / "base"
    base.mkdir()
    (base / "pipeline.yaml").write_text(PIPELINE.format(url=url))
    ingest(base)
    server.execute("SELECT pg_copy_logical_replication_slot('ingest_shop', 'kept')", url=url)
    for number in range(transactions):
        first = number * 600
        server.execute(INSERTS.format(first=first) + ";" + UPDATES.format(first=first), url=url)
    server.execute("CHECKPOINT", "SELECT pg_drop_replication_slot('ingest_shop')", url=url)
    (base / "url").write_text(url)
    return base


def run(server: PostgresServer, base: Path, folder: Path, *, drained: bool = False) -> tuple[float, float]:
    """(seconds, CPU seconds) of one run from the beginning of what waits, or of one that finds nothing."""
    url = (base / "url").read_text()
    shutil.copytree(base, folder)
    server.execute("SELECT pg_copy_logical_replication_slot('kept', 'ingest_shop')", url=url)
    if drained:
        ingest(folder)
    took = ingest(folder)
    server.execute("SELECT pg_drop_replication_slot('ingest_shop')", url=url)
    shutil.rmtree(folder)
    return took


def ingest(folder: Path) -> tuple[float, float]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began, before = time.monotonic(), os.times()
    command = [sys.executable, "-m", "ingest", "run", str(folder / "pipeline.yaml"), "--until-caught-up"]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - began, cpu


def report(results: list[tuple[float, float]], changes: int, idle: float) -> None:
    million = changes / 1e6
    rate = statistics.median(changes / seconds for seconds, _ in results)
    whole = statistics.median(cpu / million for _, cpu in results)
    print(f"{changes} changes, {len(results)} runs, medians; a run that finds nothing takes {idle:.2f} CPU-s")
    print(f"ingest: {rate:,.0f} changes/s, start and end included")
    print(f"ingest: {whole:.1f} CPU-s per M changes; {whole - idle / million:.1f} without the start")


if __name__ == "__main__":
    main()
