"""A table read beside the stream, because a signal asks for it, while rows change and the program is killed: the copy
ends as the table, and holds the rows that were there before the source was."""

from __future__ import annotations

import random
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from crash.program import finish, start
from servers.postgres import postgres_server

ROWS = 3_000
PIPELINE = """\
name: signals
hub: ./data
sources:
  - {{name: shop, type: postgres_cdc, url: '{url}', tables: [orders], topic: orders, snapshot: never, signals: signals,
      chunk_rows: 100}}
sinks:
  - {{name: copy, type: sql, topics: [orders], url: 'sqlite:///copy.db', table: orders, mode: apply,
      batch: {{rows: 300}}}}
"""
KILLS = 12


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_copy_ends_as_the_table(tmp_path: Path) -> None:
    dice, ended = random.Random(8), threading.Event()
    with postgres_server() as server:
        url = server.database()
        server.execute(
            "CREATE TABLE signals (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, data text)",
            "CREATE TABLE orders (id integer PRIMARY KEY, word text)",
            f"INSERT INTO orders SELECT n, 'word ' || n FROM generate_series(1, {ROWS}) n",
            url=url,
        )
        pipeline = tmp_path / "pipeline.yaml"
        pipeline.write_text(PIPELINE.format(url=url))
        finish(pipeline)  # the slot is there, and no row was read
        writer = threading.Thread(target=_changes, args=(url, ended))
        writer.start()
        try:
            server.execute(
                """INSERT INTO signals VALUES ('1', 'execute-snapshot', '{"data-collections": ["orders"]}')""", url=url
            )
            points = ("postgres_cdc.chunk.read", "source.appended", "source.committed", "sql.committed")
            for number in range(KILLS):
                point = {"INGEST_FAILPOINTS": f"{points[number // 2]}*2"} if number < 2 * len(points) else {}
                process = start(pipeline, **point)
                threading.Event().wait(0 if point else dice.uniform(1.0, 2.0))
                if not point:
                    process.kill()
                assert process.wait(60) == -9, (tmp_path / "said.txt").read_text()[-3000:]
        finally:
            ended.set()
            writer.join()
        finish(pipeline)
        expected = server.execute("SELECT id, word FROM orders ORDER BY id", url=url)
        server.execute("SELECT pg_drop_replication_slot('ingest_shop')", url=url)
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT id, word FROM orders ORDER BY id").fetchall() == expected


def _changes(url: str, ended: threading.Event) -> None:
    dice = random.Random(9)
    with psycopg.connect(url, autocommit=True) as connection:
        while not ended.wait(0.005):
            key = dice.randrange(1, ROWS + 200)
            connection.execute(
                dice.choice(
                    [
                        f"UPDATE orders SET word = 'changed {dice.random()}' WHERE id = {key}",
                        f"DELETE FROM orders WHERE id = {key}",
                        f"INSERT INTO orders VALUES ({key}, 'again') ON CONFLICT DO NOTHING",
                    ]
                )
            )
