"""Changes that wait in a replication slot of PostgreSQL, which is copied for each run."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.postgres import PostgresServer

from benchmarks.change_backlogs.ours import run

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


class PostgresBacklog:
    """A ``Backlog``. The slot itself is kept aside; both engines read the publication that ours has made."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        self._server = server
        self._url = server.database()
        self._base = folder / "base"

    def fill(self, transactions: int) -> None:
        self._execute(TABLE)
        self._base.mkdir()
        (self._base / "pipeline.yaml").write_text(PIPELINE.format(url=self._url))
        run(self._base / "pipeline.yaml")
        self._execute("SELECT pg_copy_logical_replication_slot('ingest_shop', 'kept')")
        self._execute("SELECT pg_drop_replication_slot('ingest_shop')")
        for first in range(0, transactions * 600, 600):
            self._execute(INSERTS.format(first=first) + ";" + UPDATES.format(first=first))
        self._execute("CHECKPOINT")

    @contextmanager
    def ours(self, folder: Path) -> Iterator[Path]:
        shutil.copytree(self._base, folder)
        with self._slot("ingest_shop"):
            yield folder / "pipeline.yaml"

    @contextmanager
    def theirs(self, folder: Path) -> Iterator[dict[str, str]]:
        folder.mkdir()
        with self._slot("judge"):
            settings = debezium_settings(self._server.port, self._url, "judge", "ingest_shop")
            yield settings | {"publication.autocreate.mode": "disabled"}

    @contextmanager
    def _slot(self, name: str) -> Iterator[None]:
        self._execute(f"SELECT pg_copy_logical_replication_slot('kept', '{name}')")
        yield
        waiting = threading.Event()
        while self._execute(f"SELECT 1 FROM pg_replication_slots WHERE slot_name = '{name}' AND active"):
            waiting.wait(0.1)
        self._execute(f"SELECT pg_drop_replication_slot('{name}')")

    def _execute(self, statement: str) -> list[object]:
        return self._server.execute(statement, url=self._url)


def debezium_settings(port: int, url: str, slot: str, publication: str) -> dict[str, str]:
    """Of one engine for the table."""
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": "127.0.0.1",
        "database.port": str(port),
        "database.user": "postgres",
        "database.password": "unused",
        "database.dbname": url.rpartition("/")[2],
        "plugin.name": "pgoutput",
        "slot.name": slot,
        "publication.name": publication,
        "table.include.list": "public.lineitem",
    }
