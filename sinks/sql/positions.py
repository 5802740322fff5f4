"""Where the sink stands: one row of the table ``_ingest_positions``, written in the transaction of the rows.

The row is also the lock by which one writer waits for another. ``claim`` holds it until a transaction whose end nobody
has heard of is over, on the server too: what it then reads is what counts.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.connectors import Commit, DeadLetter, SinkContext, Standing, TopicPartition
from ingest.errors import ConnectorError, IdentityMismatch, SinkFenced
from ingest.sinks.sql.database import Database, RowsRefused
from ingest.sinks.sql.tables import TableName

VERSION = 1
TABLE = "_ingest_positions"
LONGEST_NAME = 200
"""Characters of the names of a pipeline and of a sink, together the primary key."""

_READ = f"SELECT epoch, hub_id, commit_number, content, dead_letters FROM {TABLE} WHERE pipeline = %s AND sink = %s"  # noqa: S608
_MAKE = f"INSERT INTO {TABLE} (pipeline, sink, epoch, hub_id, commit_number, content) VALUES (%s, %s, 0, %s, 0, %s)"  # noqa: S608
_TAKE = f"UPDATE {TABLE} SET epoch = %s WHERE pipeline = %s AND sink = %s"  # noqa: S608
_WRITE = (
    f"UPDATE {TABLE} SET hub_id = %s, commit_number = %s, content = %s, dead_letters = %s "  # noqa: S608
    "WHERE pipeline = %s AND sink = %s"
)

_REWRITE = f"UPDATE {TABLE} SET content = %s WHERE pipeline = %s AND sink = %s"  # noqa: S608


@dataclass(frozen=True, slots=True)
class _Stored:
    epoch: int
    hub_id: str
    number: int
    content: str
    dead: bytes | None


class Positions:
    """The row of one sink. ``lock`` ends a ``SELECT`` so that it locks its row, where the database knows that."""

    def __init__(self, database: Database, context: SinkContext) -> None:
        self._database = database
        self._context = context
        self._owner = (context.pipeline, context.name)
        self._read_and_lock = f"{_READ} {database.row_lock}".rstrip()
        self._number = 0
        self._topic_ids: dict[str, str] = {}
        self._content: dict[str, Any] = {}

    def claim(self) -> Standing:
        """Makes this run the writer; older ones are fenced. Raises ``SinkFenced``, ``IdentityMismatch``."""
        self._make()
        self._database.begin()
        stored = self._locked()
        self._check(stored)
        self._database.execute(_TAKE, [self._context.epoch, *self._owner])
        self._database.commit()
        standing = _standing(stored)
        self._number = stored.number
        self._topic_ids = dict(standing.topic_ids)
        self._content = json.loads(stored.content)
        return standing

    @property
    def staged(self) -> dict[TableName, TableName]:
        """The tables whose rows wait, by the last commit, in another one: that one by the table."""
        return {TableName(*table): TableName(*staging) for table, staging in self._content.get("staged", ())}

    def lock(self) -> None:
        """Called first in each transaction. Raises ``SinkFenced`` if another run has taken over."""
        stored = self._locked()
        if stored.epoch != self._context.epoch or stored.number != self._number:
            raise SinkFenced(
                f"run {stored.epoch} of the sink {self._context.name} has taken over the target",
                hint="another process runs this pipeline; it goes on, and this one stops",
            )

    def write(self, commit: Commit, staged: Mapping[TableName, TableName]) -> None:
        """Called last in a transaction that ``lock`` began."""
        for topic in {place.topic for place in commit.offsets}:
            self._topic_ids[topic] = self._context.topic_ids.get(topic, self._topic_ids.get(topic, ""))
        self._content = {
            "version": VERSION,
            "offsets": [[*place, offset] for place, offset in sorted(commit.offsets.items())],
            "topic_ids": self._topic_ids,
            "rows": commit.rows,
            "filtered": commit.filtered,
            "written_ms": self._context.environment.clock.now_ms(),
            "staged": [list(names) for names in staged.items()],
        }
        values = [self._context.hub_id, commit.number, json.dumps(self._content), _packed(commit.dead)]
        self._database.execute(_WRITE, [*values, *self._owner])

    def nothing_is_staged(self) -> None:
        """Called last in a transaction that ``lock`` began and that has moved the rows to their tables."""
        self._content |= {"staged": []}
        self._database.execute(_REWRITE, [json.dumps(self._content), *self._owner])

    def committed(self, commit: Commit) -> None:
        """The transaction is in the target."""
        self._number = commit.number

    def _make(self) -> None:
        if max(map(len, self._owner)) > LONGEST_NAME:
            raise ConnectorError(f"the name of a pipeline or sink is longer than {LONGEST_NAME} characters")
        self._database.make_positions()
        if not self._database.execute(_READ, self._owner):
            empty = {"version": VERSION, "offsets": [], "topic_ids": {}}
            try:
                self._database.execute(_MAKE, [*self._owner, self._context.hub_id, json.dumps(empty)])
            except RowsRefused:
                return  # another process made it meanwhile

    def _locked(self) -> _Stored:
        found = self._database.execute(self._read_and_lock, self._owner)
        if not found:
            raise ConnectorError(
                f"the row of {'/'.join(self._owner)} in {TABLE} is gone",
                hint="who deleted it says that this sink starts over: empty its tables, and start it again",
            )
        return _Stored(*found[0])

    def _check(self, stored: _Stored) -> None:
        if stored.number and stored.hub_id != self._context.hub_id:
            raise IdentityMismatch(
                f"the target was written by this sink from the hub {stored.hub_id}, and this is {self._context.hub_id}",
                hint="run with the hub's former data folder, or rename the sink; to start over on purpose: delete the "
                f"rows that it wrote, and its row in {TABLE}",
            )
        if stored.epoch > self._context.epoch:
            raise SinkFenced(
                f"the target was taken over by run {stored.epoch} of this sink, and this is run {self._context.epoch}",
                hint="another process runs this pipeline, or the hub's data was restored from an older copy",
            )


def _standing(stored: _Stored) -> Standing:
    if not stored.number:
        return Standing(epoch=stored.epoch)
    content = json.loads(stored.content)
    if content["version"] != VERSION:
        raise ConnectorError(f"{TABLE} was written by a newer version of Ingest")
    offsets: Mapping[TopicPartition, int] = {
        TopicPartition(topic, partition): offset for topic, partition, offset in content["offsets"]
    }
    last = Commit(stored.number, offsets, _unpacked(stored.dead), rows=content["rows"], filtered=content["filtered"])
    return Standing(last, stored.hub_id, content["topic_ids"], stored.epoch)


def _packed(dead: Sequence[DeadLetter]) -> bytes | None:
    """They may be many, and statements are limited in bytes."""
    if not dead:
        return None
    fields = [[d.topic, d.partition, d.offset, d.row, d.stage, d.error, d.reason] for d in dead]
    return zlib.compress(json.dumps(fields).encode(), 1)


def _unpacked(packed: bytes | None) -> tuple[DeadLetter, ...]:
    if packed is None:
        return ()
    return tuple(DeadLetter(*fields) for fields in json.loads(zlib.decompress(packed)))
