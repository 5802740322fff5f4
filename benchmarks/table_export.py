"""A Parquet file of 18 columns into a table of a database, with what else does that: client CPU per row, rate, memory.

    python -m benchmarks.table_export [--database postgres|sqlite] [--rows 1000000] [--runs 3]

Ours is ``ingest export``: through the hub, synced, each row once whatever happens, position and rows in one
transaction. The peers guarantee nothing (``benchmarks/peer_export.py`` says how each is called). Whole processes in
turn, imports included, each into an empty table with a primary key; the server's CPU is not counted. Medians.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.table_to_parquet import NEWER, TABLE, peers_python, report
from benchmarks.whole_process import interleaved

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

PEERS = {"postgres": ("adbc", "duckdb"), "sqlite": ("adbc",)}
PART_ROWS = 100_000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--database", choices=list(PEERS), default="postgres")
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--folder", type=Path, default=Path("build/bench/table"))
    chosen = options.parse_args()
    folder: Path = chosen.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    peer = str(peers_python(folder / "peers"))
    file, hub = folder / "rows.parquet", folder / "hub"
    write_rows(file, chosen.rows, numbers_as_text=chosen.database == "sqlite")
    with emptied_table(chosen.database, folder) as (url, empty):
        ours = [sys.executable, "-m", "ingest", "export", "--connect", url, "--table", "lineitem"]
        ours += ["--export-dir", str(file), "--data", str(hub), "--quiet"]
        program = str(Path(__file__).with_name("peer_export.py"))
        commands = {"ingest": ours}
        commands |= {name: [peer, program, name, url, str(file)] for name in PEERS[chosen.database]}

        def before(_: str) -> None:
            shutil.rmtree(hub, ignore_errors=True)
            empty()

        results = interleaved(commands, chosen.runs, before)
    report(results, chosen.rows)


def write_rows(path: Path, count: int, *, numbers_as_text: bool) -> None:
    """The table of ``table_to_parquet``, in row groups as an import leaves them. Nothing there is read by SQLite as
    decimals: they are texts."""
    with pq.ParquetWriter(path, _part(0, 1, numbers_as_text).schema) as writer:
        for start in range(0, count, PART_ROWS):
            writer.write_table(_part(start, min(PART_ROWS, count - start), numbers_as_text))


def _part(start: int, count: int, numbers_as_text: bool) -> pa.Table:
    n = np.arange(start, start + count, dtype=np.int64)
    day = pa.array(9496 + (n % 2000).astype(np.int32)).cast(pa.date32())

    def number(cents: np.ndarray) -> pa.Array:
        wide = pa.array(cents).cast(pa.decimal128(19))
        exact = pa.Array.from_buffers(pa.decimal128(15, 2), len(cents), wide.buffers())
        return exact.cast(pa.string()) if numbers_as_text else exact

    def same(text: str) -> pa.Array:
        return pa.repeat(pa.scalar(text), count)

    days = day.cast(pa.string()) if numbers_as_text else day
    moment = pa.repeat(pa.scalar(1_772_366_400_123_456, pa.timestamp("us", "UTC")), count)
    columns = {
        "l_orderkey": pa.array(n // 4),
        "l_partkey": pa.array((n % 20_000).astype(np.int32)),
        "l_suppkey": pa.array((n % 1000).astype(np.int32)),
        "l_linenumber": pa.array((n % 7).astype(np.int32)),
        "l_quantity": number(n % 50 * 100),
        "l_extendedprice": number(n % 90_000 * 137),
        "l_discount": number(n * 0 + 5),
        "l_tax": number(n * 0 + 7),
        "l_returnflag": same("N"),
        "l_linestatus": same("O"),
        "l_shipdate": days,
        "l_commitdate": days,
        "l_receiptdate": days,
        "l_shipinstruct": same("DELIVER IN PERSON"),
        "l_shipmode": same("TRUCK"),
        "l_comment": pa.array([f"egular courts {number}" for number in n.tolist()]),
        "updated_at": moment.cast(pa.string()) if numbers_as_text else moment,
        "id": pa.array(n),
    }
    return pa.table(columns)


@contextmanager
def emptied_table(database: str, folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """The URL of a database, and what makes its table new."""
    table = TABLE.format(newer=NEWER[database])
    if database == "postgres":
        from servers.postgres import postgres_server

        with postgres_server() as server:
            url = server.database()
            again = ("DROP TABLE IF EXISTS lineitem, _ingest_positions", table, "CHECKPOINT")
            yield url, lambda: server.execute(*again, url=url) and None
        return

    path = folder / "export.db"

    def made_new() -> None:
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(table)

    yield f"sqlite:///{path}", made_new


if __name__ == "__main__":
    main()
