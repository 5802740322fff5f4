"""Databases that the sink ``sql`` writes to in tests: a fresh one each, whichever it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from ingest.connectors import Commit, Delivery, Records, SinkContext, SinkTask
from ingest.environment import Environment
from ingest.failpoints import FailPoints
from ingest.sinks.sql.connector import SqlSink


class Target(Protocol):
    """``execute`` runs a statement of its own connection and returns the rows."""

    kind: str
    url: str

    def execute(self, *statements: str) -> list[Any]: ...


class SqliteTarget:
    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "target.db"
        self.url = f"sqlite:///{self._path}"

    def execute(self, *statements: str) -> list[Any]:
        with closing(sqlite3.connect(self._path)) as database, database:
            for statement in statements:
                found = database.execute(statement).fetchall()
        return found


class ServerTarget:
    """A new database of a server of the tests."""

    def __init__(self, kind: str, server: Any) -> None:
        self.kind = kind
        self._server = server
        self.url = server.database()

    def execute(self, *statements: str) -> list[Any]:
        return list(self._server.execute(*statements, url=self.url))


def sink_of(url: str, **settings: object) -> SqlSink:
    return SqlSink(SqlSink.Settings.model_validate({"url": url, "table": "target", **settings}))


def context(folder: Path, *, epoch: int = 1, tolerate: bool = True, fail: FailPoints | None = None) -> SinkContext:
    return SinkContext(
        pipeline="p",
        name="copy",
        hub_id="hub",
        topic_ids={"events": "11111111-1111-1111-1111-111111111111"},
        epoch=epoch,
        base_folder=folder,
        environment=Environment(fail=fail or FailPoints()),
        tolerate=tolerate,
    )


@contextmanager
def opened(
    target: Target, folder: Path, *, epoch: int = 1, tolerate: bool = True, **settings: object
) -> Iterator[SinkTask]:
    """An open task."""
    task = sink_of(target.url, **settings).task()
    try:
        task.open(context(folder, epoch=epoch, tolerate=tolerate))
        yield task
    finally:
        task.close()


def delivery(value: pa.Array, start: int = 0, *, key: pa.Array | None = None, topic: str = "events") -> Delivery:
    """One record for each value, from the offset ``start`` on."""
    offsets = pa.array(range(start, start + len(value)), pa.int64())
    records = Records(value=value, key=key, topic=topic, partition=0, offsets=offsets)
    return Delivery(topic, 0, start, start + len(value), [records])


def put_all(task: SinkTask, *deliveries: Delivery) -> Commit:
    for each in deliveries:
        task.put(each)
    commit = task.flush(force=True)
    assert commit is not None
    return commit


def rows_of(*rows: Mapping[str, Any], **types: pa.DataType) -> pa.Array:
    """A struct column; ``types`` for those that are not told by the values."""
    table = pa.Table.from_pylist(list(rows))
    for name, kind in types.items():
        column = pa.array([row.get(name) for row in rows], kind)
        table = table.drop_columns(name).append_column(name, column) if name in table.column_names else table
    return pa.StructArray.from_arrays([c.combine_chunks() for c in table.columns], names=table.column_names)


def selected(target: Target, columns: Sequence[str] = ("id", "word"), table: str = "target") -> list[tuple[Any, ...]]:
    return sorted(map(tuple, target.execute(f"SELECT {', '.join(columns)} FROM {table}")), key=repr)
