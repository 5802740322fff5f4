"""A table of 18 columns to Parquet, with what else does that: client CPU per row, rate, memory.

    python -m benchmarks.table_to_parquet [--database postgres|mariadb|sqlite] [--rows 2000000] [--runs 3]

Ours goes through the hub, synced, in one process ``ingest run --until-caught-up``. The peers guarantee nothing; they
are installed from PyPI into a folder of their own (``benchmarks/peer_table.py`` says which). ``--peers ...,sqoop`` has
Sqoop 1.4.7 as well, of PostgreSQL, with its local runner; the class that it generates is made before. A server of its
own is filled first. All write snappy, as the peers do by themselves (ours: zstd). Whole processes in turn, imports
included; the server's CPU is not counted. Medians.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.whole_process import Run, interleaved, median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

PEERS = {
    "postgres": ("duckdb", "connectorx", "connectorx-stream", "adbc", "dlt"),
    "mariadb": ("connectorx", "connectorx-stream", "dlt"),
    "sqlite": ("connectorx", "adbc", "dlt"),
}
PACKAGES = (
    "pyarrow",
    "connectorx",
    "adbc-driver-postgresql",
    "adbc-driver-sqlite",
    "duckdb==1.5.5",
    "duckdb-extension-postgres-scanner==1.5.5",
    "dlt[filesystem,parquet]",
    "sqlalchemy",
    "psycopg2-binary",
    "pymysql",
)
NEWER = {"postgres": "timestamptz", "mariadb": "datetime(6)", "sqlite": "text"}
TABLE = """
CREATE TABLE lineitem (
  l_orderkey bigint, l_partkey integer, l_suppkey integer, l_linenumber integer, l_quantity numeric(15,2),
  l_extendedprice numeric(15,2), l_discount numeric(15,2), l_tax numeric(15,2), l_returnflag char(1),
  l_linestatus char(1),
  l_shipdate date, l_commitdate date, l_receiptdate date, l_shipinstruct varchar(25), l_shipmode varchar(10),
  l_comment varchar(44), updated_at {newer}, id bigint PRIMARY KEY)"""
ROWS = """
INSERT INTO lineitem SELECT n / 4, n % 20000, n % 1000, n % 7, n % 50, (n % 90000) * 1.37, 0.05, 0.07, 'N', 'O',
  {day}, {day}, CASE WHEN n % 20 = 0 THEN NULL ELSE {day} END, 'DELIVER IN PERSON', 'TRUCK',
  {comment}, '2026-03-01 12:00:00.123456', n FROM {numbers}"""
PIPELINE = """\
name: bench
hub: ./hub
topics: {{lineitem: {{format: {format}}}}}
sources: [{{name: table, type: sql, url: "{url}", tables: [lineitem], topic: lineitem{more}}}]
sinks: [{{name: lake, type: parquet, topics: [lineitem], url: ./lake, compression: snappy}}]
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--database", choices=list(PEERS), default="postgres")
    options.add_argument("--rows", type=int, default=2_000_000)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--peers", type=lambda text: text.split(","), help="only these; by default all there are")
    options.add_argument(
        "--format", default="arrow", help="the topic's format; what ``ingest import`` takes unless told"
    )
    options.add_argument("--folder", type=Path, default=Path("build/bench/table"))
    options.add_argument(
        "--incremental", choices=["append", "modified"], help="ours as a first incremental load, by id"
    )
    chosen = options.parse_args()
    more = f", incremental: {{column: id, mode: {chosen.incremental}}}" if chosen.incremental else ""
    folder: Path = chosen.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    peer = str(peers_python(folder / "peers"))
    with filled(chosen.database, chosen.rows, folder) as url:
        (folder / "pipeline.yaml").write_text(PIPELINE.format(url=url, format=chosen.format, more=more))
        ours = [sys.executable, "-m", "ingest", "run", str(folder / "pipeline.yaml"), "--until-caught-up"]
        program = str(Path(__file__).with_name("peer_table.py"))
        commands = {"ingest": ours} | {
            name: sqoop(url, folder) if name == "sqoop" else [peer, program, name, url, str(folder / "out")]
            for name in chosen.peers or PEERS[chosen.database]
        }
        results = interleaved(commands, chosen.runs, lambda name: emptied(folder))
    report(results, chosen.rows)


def sqoop(url: str, folder: Path) -> list[str]:
    from sqoop import Sqoop

    importer = Sqoop(folder / "sqoop", url, "lineitem")
    importer.generate()
    needed = [f"{name}={value}" for name, value in importer.needed.items()]
    return ["env", *needed, *importer.import_command(folder / "out", "--as-parquetfile")]


def peers_python(folder: Path) -> Path:
    """An interpreter that has the peers; made once."""
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PACKAGES], check=True)
        (folder / "complete").touch()
    return python


def emptied(folder: Path) -> None:
    for name in ("hub", "lake", "out"):
        shutil.rmtree(folder / name, ignore_errors=True)


@contextmanager
def filled(database: str, rows: int, folder: Path) -> Iterator[str]:
    """The URL of a database with the table."""
    table = TABLE.format(newer=NEWER[database])
    if database == "postgres":
        from servers.postgres import postgres_server

        numbers = f"generate_series(1, {rows}) n"
        fill = ROWS.format(day="date '1996-01-01' + n % 2000", comment="'egular courts ' || n", numbers=numbers)
        fill = fill.replace("'2026-03-01 12:00:00.123456'", "timestamptz '2026-03-01 12:00:00.123456+00'")
        with postgres_server() as server:
            url = server.database()
            server.execute(table, fill, "VACUUM ANALYZE lineitem", url=url)
            yield url
    elif database == "mariadb":
        from servers.mariadb import mariadb_server

        numbers = f"(SELECT seq n FROM seq_1_to_{rows}) numbers"
        day = "date_add('1996-01-01', INTERVAL n % 2000 DAY)"
        with mariadb_server() as maria:
            url = maria.database()
            maria.execute(table, ROWS.format(day=day, comment="concat('egular courts ', n)", numbers=numbers), url=url)
            yield url
    else:
        path = folder / "table.db"
        path.unlink(missing_ok=True)
        numbers = f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {rows}) SELECT n FROM c)"
        day = "date('1996-01-01', (n % 2000) || ' days')"
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(table)
            connection.execute(ROWS.format(day=day, comment="'egular courts ' || n", numbers=numbers))
        yield f"sqlite:///{path}"


def report(results: dict[str, list[Run]], rows: int) -> None:
    million = rows / 1e6
    ours = median(results["ingest"], "cpu_s")
    print(f"{'':20}{'rows/s':>12}{'CPU-s/M rows':>14}{'peak MB':>9}{'ours, rows per CPU-s':>22}")
    for name, runs in results.items():
        cpu = median(runs, "cpu_s")
        print(
            f"{name:20}{rows / median(runs, 'wall_s'):12,.0f}{cpu / million:14.2f}{median(runs, 'peak_mb'):9.0f}"
            f"{cpu / ours:21.2f}x"
        )


if __name__ == "__main__":
    main()
