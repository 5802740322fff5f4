"""Changes of a table to a synced hub, and Debezium's embedded engine that gives the same ones to nobody.

    python -m benchmarks.changes [--what changes|snapshot] [--database postgres|mariadb] [--transactions 1000]
                                 [--runs 3] [--only-ours]

A server of its own; transactions of 600 inserts and 400 updates of a table of 18 columns wait in its log before the
first run, and each run begins before them. Of a snapshot, as many rows are in the table. The two take turns.

Ours is a process ``ingest run --until-caught-up``, start and end included; one that finds nothing is measured after
each, to be taken off. Debezium's consumer counts records of Kafka Connect and does nothing else; its figures are from
the first batch to the last, without the start of the JVM. CPU is that of the process, user and system; the server's is
not counted.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from servers.mariadb import mariadb_server
from servers.postgres import postgres_server

from benchmarks.change_backlogs import TRANSACTION, Backlog
from benchmarks.change_backlogs.debezium import Drained, Engine
from benchmarks.change_backlogs.mariadb import MariadbBacklog
from benchmarks.change_backlogs.ours import run
from benchmarks.change_backlogs.postgres import PostgresBacklog
from benchmarks.change_backlogs.rows import MariadbRows, PostgresRows
from benchmarks.whole_process import Run


@dataclass(frozen=True, slots=True)
class Ours:
    """One run, and the one after it that found nothing."""

    full: Run
    idle: Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=["changes", "snapshot"], default="changes")
    parser.add_argument("--database", choices=["postgres", "mariadb"], default="postgres")
    parser.add_argument("--transactions", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--only-ours", action="store_true", help="leave Debezium out (mariadb starts it once all the same)"
    )
    options = parser.parse_args()
    changes = options.transactions * TRANSACTION
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as scratch, backlog(options, Path(scratch)) as waiting:
        waiting.fill(options.transactions)
        for number in range(options.runs):
            folder = Path(scratch) / f"run{number}"
            ours.append(of_ours(waiting, folder))
            if not options.only_ours:
                theirs.append(of_debezium(waiting, options.database, folder, changes))
    report("changes" if options.what == "changes" else "rows", changes, ours, theirs)


@contextmanager
def backlog(options: argparse.Namespace, folder: Path) -> Iterator[Backlog]:
    of_changes = options.what == "changes"
    if options.database == "postgres":
        with postgres_server() as server:
            yield (PostgresBacklog if of_changes else PostgresRows)(server, folder)
    else:
        with mariadb_server() as server:
            yield (MariadbBacklog if of_changes else MariadbRows)(server, folder)


def of_ours(waiting: Backlog, folder: Path) -> Ours:
    with waiting.ours(folder) as pipeline:
        took = Ours(run(pipeline), run(pipeline))
    shutil.rmtree(folder)
    return took


def of_debezium(waiting: Backlog, database: str, folder: Path, changes: int) -> Drained:
    with waiting.theirs(folder) as settings:
        took = Engine(database, settings, folder, changes).drained()
    shutil.rmtree(folder)
    return took


def report(unit: str, changes: int, ours: list[Ours], theirs: list[Drained]) -> None:
    whole = [changes / each.full.cpu_s for each in ours]
    bare = [changes / (each.full.cpu_s - each.idle.cpu_s) for each in ours]
    print(f"{changes} {unit}, {len(ours)} runs, medians (least, most)")
    line(f"ingest, to a synced hub: {unit}/s", [changes / each.full.wall_s for each in ours])
    line(f"  {unit} per CPU second", whole)
    line(f"  {unit} per CPU second, without the start", bare)
    line("  peak memory, MB", [each.full.peak_mb for each in ours])
    if theirs:
        peer = [each.changes / each.cpu_s for each in theirs]
        line(f"Debezium, to nobody, without its start: {unit}/s", [each.changes / each.seconds for each in theirs])
        line(f"  {unit} per CPU second", peer)
        line(f"{unit} per CPU second, ours with its start / Debezium's", ratios(whole, peer), ".2f")
        line(f"{unit} per CPU second, ours without / Debezium's", ratios(bare, peer), ".2f")


def ratios(ours: list[float], theirs: list[float]) -> list[float]:
    """Of runs that followed each other."""
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def line(what: str, figures: list[float], form: str = ",.0f") -> None:
    low, middle, high = (format(each, form) for each in (min(figures), statistics.median(figures), max(figures)))
    print(f"{what:58} {middle:>9}  ({low}, {high})")


if __name__ == "__main__":
    main()
