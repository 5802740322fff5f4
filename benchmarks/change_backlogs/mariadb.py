"""Changes that wait in a binlog of MariaDB; each engine's saved position before them is copied for each run."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.mariadb import MariadbServer

from benchmarks.change_backlogs.debezium import Engine
from benchmarks.change_backlogs.ours import run

TABLE = """
CREATE TABLE lineitem (
  l_orderkey bigint, l_partkey integer, l_suppkey integer, l_linenumber integer, l_quantity decimal(15,2),
  l_extendedprice decimal(15,2), l_discount decimal(15,2), l_tax decimal(15,2), l_returnflag char(1),
  l_linestatus char(1),
  l_shipdate date, l_commitdate date, l_receiptdate date, l_shipinstruct varchar(25), l_shipmode varchar(10),
  l_comment varchar(44), updated_at datetime(6), id bigint PRIMARY KEY)"""
INSERTS = """
INSERT INTO lineitem SELECT seq, seq % 20000, seq % 1000, seq % 7, seq % 50, seq * 1.37, 0.05, 0.07, 'N', 'O',
  DATE '1996-01-01' + INTERVAL seq % 2000 DAY, DATE '1996-02-01' + INTERVAL seq % 2000 DAY,
  IF(seq % 20 = 0, NULL, DATE '1996-03-01' + INTERVAL seq % 2000 DAY),
  'DELIVER IN PERSON', 'TRUCK', CONCAT('egular courts above the ', seq), NOW(6), seq
FROM seq_{first}_to_{last}"""
UPDATES = """
UPDATE lineitem SET l_quantity = l_quantity + 1, l_comment = CONCAT('changed ', id), updated_at = NOW(6)
WHERE id BETWEEN {first} AND {first} + 399"""
PIPELINE = """\
name: changes
hub: ./data
sources:
  - {{name: shop, type: mysql_cdc, url: "{url}", tables: [lineitem], snapshot: never, topic: "{{table}}"}}
"""
_DUMPS = "SELECT 1 FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'"


class MariadbBacklog:
    """A ``Backlog``. Debezium without an offset begins at the log's end: it is shown one row, of which it keeps one."""

    def __init__(self, server: MariadbServer, folder: Path) -> None:
        self._server = server
        self._url = server.database()
        self._base, self._judge = folder / "base", folder / "judge"

    def fill(self, transactions: int) -> None:
        self._server.execute(TABLE, url=self._url)
        self._judge.mkdir()
        engine = Engine("mariadb", {**self._settings(self._judge), "offset.flush.interval.ms": "0"}, self._judge, 1)
        waiting = threading.Event()
        while not self._server.execute(_DUMPS):
            waiting.wait(0.1)
        self._server.execute("INSERT INTO lineitem (id) VALUES (-1)", url=self._url)
        engine.drained()
        self._base.mkdir()
        (self._base / "pipeline.yaml").write_text(PIPELINE.format(url=self._url))
        run(self._base / "pipeline.yaml")
        for first in range(1, transactions * 600, 600):
            both = INSERTS.format(first=first, last=first + 599), UPDATES.format(first=first)
            self._server.execute("BEGIN", *both, "COMMIT", url=self._url)

    @contextmanager
    def ours(self, folder: Path) -> Iterator[Path]:
        shutil.copytree(self._base, folder)
        yield folder / "pipeline.yaml"

    @contextmanager
    def theirs(self, folder: Path) -> Iterator[dict[str, str]]:
        shutil.copytree(self._judge, folder)
        yield self._settings(folder)

    def _settings(self, folder: Path) -> dict[str, str]:
        return debezium_settings(self._server.port, self._url, folder)


def debezium_settings(port: int, url: str, folder: Path) -> dict[str, str]:
    """Of one engine for the table, which keeps its history of tables in ``folder``."""
    database = url.rpartition("/")[2]
    return {
        "connector.class": "io.debezium.connector.mariadb.MariaDbConnector",
        "database.hostname": "127.0.0.1",
        "database.port": str(port),
        "database.user": "root",
        "database.password": "",
        "database.server.id": "6401",
        "database.include.list": database,
        "table.include.list": f"{database}.lineitem",
        "schema.history.internal": "io.debezium.storage.file.history.FileSchemaHistory",
        "schema.history.internal.file.filename": str(folder / "history.dat"),
        "include.schema.changes": "false",
    }
