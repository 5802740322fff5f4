"""From events of a binlog to the changes in them, table by table."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ingest.errors import ConnectorError, DecodeFailed
from ingest.sources.databases.changes import Changes
from ingest.sources.databases.tables import TableInfo
from ingest.sources.mysql_cdc.logged_tables import LoggedTable, TableBook
from ingest.sources.mysql_cdc.place import Place
from ingest.sources.mysql_cdc.row_images import decode_images, images
from ingest.sources.mysql_cdc.source_fields import Origins, SourceFields
from ingest.sources.mysql_cdc.statements import logged_statement
from ingest.sources.mysql_cdc.stream import Events
from ingest.sources.mysql_cdc.transactions import ANONYMOUS, GTID, MYSQL_GTID, Transactions

_QUERY, _ROTATE, _FORMAT, _TABLE_MAP, _INCIDENT, _XA_PREPARE, _PARTIAL, _PAYLOAD = 2, 4, 15, 19, 26, 38, 39, 40
_QUERY_COMPRESSED = 165
_SPECIAL = (_QUERY, _ROTATE, _FORMAT, _INCIDENT, _XA_PREPARE, _PARTIAL, _PAYLOAD, _QUERY_COMPRESSED)
_WRITE, _UPDATE, _DELETE = (23, 30), (24, 31), (25, 32)
_ROWS = (*_WRITE, *_UPDATE, *_DELETE)
_SECOND_VERSION = (30, 31, 32)
_COMPRESSED = {166: 23, 167: 24, 168: 25, 169: 30, 170: 31, 171: 32}
_HEAD, _POST_HEAD = 19, 8
_NOT_SUPPORTED = {
    _INCIDENT: (
        "the server has lost events that were to be in its binlog",
        "`ingest positions reset` takes a new snapshot",
    ),
    _XA_PREPARE: (
        "XA transactions cannot be captured yet: they are logged before they commit",
        None,
    ),
    _PARTIAL: ("partial updates of JSON cannot be captured", "SET GLOBAL binlog_row_value_options = ''"),
    _PAYLOAD: ("compressed transactions cannot be captured", "SET GLOBAL binlog_transaction_compression = OFF"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """Changes of one table; ``dead`` are those with a value that its type cannot hold: as JSON, each with a reason."""

    changes: Changes
    dead: Sequence[tuple[bytes, str]] = ()


class Decoder:
    """Follows the log from ``place``. ``ordered`` keeps the order between tables, too."""

    def __init__(
        self, book: TableBook, place: Place, fields: SourceFields, report: Callable[[str], None], *, ordered: bool
    ) -> None:
        self._book = book
        self._fields = fields
        self._report = report
        self._ordered = ordered
        self._tables: dict[int, LoggedTable | None] = {}
        self._digests: dict[int, int] = {}
        self.transactions = Transactions(place)

    def decode(self, events: Events, now_ms: int) -> Iterator[Found]:
        """The changes, in their order within each table."""
        events = _inflated(events)
        begin = 0
        for place in np.flatnonzero(np.isin(events.heads[:, 1], _SPECIAL) & ~_told(events)).tolist():
            yield from self._rows(events, begin, place, now_ms)
            yield from self._special(events, place, now_ms)
            begin = place + 1
        yield from self._rows(events, begin, len(events.heads), now_ms)

    def _special(self, events: Events, place: int, now_ms: int) -> Iterator[Found]:
        kind, end = int(events.heads[place, 1]), int(events.heads[place, 3])
        body = events.data[events.starts[place] + _HEAD : events.ends[place]].tobytes()
        if kind in _NOT_SUPPORTED:
            message, hint = _NOT_SUPPORTED[kind]
            raise ConnectorError(f"{message} ({self.transactions.file}:{end})", hint=hint)
        if kind == _ROTATE:
            self._check_whole()
            self.transactions.turn_to(body[8:].decode(), int.from_bytes(body[:8], "little"))
        elif kind == _FORMAT:
            self._tables.clear()
            self._digests.clear()
            self.transactions.seen = max(self.transactions.seen, end)
        else:
            yield from self._statement(events, place, body, now_ms)

    def _check_whole(self) -> None:
        if self.transactions.is_open and self.transactions.seen > self.transactions.place.position:
            raise ConnectorError(
                f"{self.transactions.file} ends within a transaction: the server broke down while it wrote it",
                hint="`ingest positions reset` takes a new snapshot",
            )

    def _statement(self, events: Events, place: int, body: bytes, now_ms: int) -> Iterator[Found]:
        end = int(events.heads[place, 3])
        if events.heads[place, 1] == _QUERY_COMPRESSED:
            raise ConnectorError("a compressed statement cannot be read")
        statement = logged_statement(body)
        if statement.kind == "begin":
            self.transactions.begin(end - events.size(place))
            return
        if statement.kind == "xa":
            raise ConnectorError(_NOT_SUPPORTED[_XA_PREPARE][0])
        if statement.kind == "savepoint":
            return
        if statement.kind == "rollback":
            self._report(
                f"the transaction that ends at {self.transactions.file}:{end} was rolled back and logged all the same, "
                "as it changed tables that cannot be: changes of it may come that the server undid"
            )
        if statement.table is not None:
            table = self._book.wants(*statement.table)
            if table is not None:
                yield self._truncated(table, events, place, now_ms)
        self.transactions.end(end)

    def _truncated(self, table: TableInfo, events: Events, place: int, now_ms: int) -> Found:
        empty = pa.nulls(1, pa.struct(self._book.fields(table.stream)))
        head = events.heads[place]
        start = np.array([int(head[3]) - events.size(place)])
        gtid = pa.array([self.transactions.gtid], pa.string())
        origins = Origins(head[:1], head[2:3], start, np.zeros(1, np.int64), gtid)
        source = self._fields.of_changes(table, self.transactions.file, origins)
        return Found(Changes(table, pa.array(["t"]), empty, empty, source, pa.array([now_ms])))

    def _rows(self, events: Events, begin: int, end: int, now_ms: int) -> Iterator[Found]:
        """Events among which no table changes and no file ends."""
        if begin == end:
            return
        maps = begin + np.flatnonzero(events.heads[begin:end, 1] == _TABLE_MAP)
        for place in maps.tolist():
            number, digest = int(events.heads[place, 5]), int(events.heads[place, 6])
            if self._digests.get(number) == digest:
                continue
            if number in self._digests and place > begin:
                yield from self._rows(events, begin, place, now_ms)
                yield from self._rows(events, place, end, now_ms)
                return
            body = events.data[events.starts[place] + _HEAD : events.ends[place]].tobytes()
            self._tables[number] = self._book.table(number, digest, body)
            self._digests[number] = digest
        done = self.transactions.done
        numbers, names = self.transactions.follow(events, begin, end)
        heads = events.heads[begin:end]
        wanted = np.isin(heads[:, 1], _ROWS) & (heads[:, 3] > done)
        gtids = pa.array(names, pa.string())
        for run in self._runs(begin + np.flatnonzero(wanted), events):
            table = self._table(int(events.heads[run[0], 5]))
            if table is not None:
                yield self._found(table, events, run, gtids.take(pa.array(numbers[run - begin])), now_ms)

    def _table(self, number: int) -> LoggedTable | None:
        try:
            return self._tables[number]
        except KeyError:
            raise DecodeFailed(f"rows of a table that was not mapped: number {number}") from None

    def _runs(self, rows: np.ndarray, events: Events) -> Iterator[np.ndarray]:
        """Rows events by table; where order counts between tables, by tables that follow each other."""
        if not len(rows):
            return
        numbers = events.heads[rows, 5]
        if self._ordered:
            yield from np.split(rows, np.flatnonzero(np.diff(numbers)) + 1)
            return
        for number in np.unique(numbers):
            yield rows[numbers == number]

    def _found(self, table: LoggedTable, events: Events, rows: np.ndarray, gtids: pa.Array, now_ms: int) -> Found:
        kinds = events.heads[rows, 1]
        updates = np.isin(kinds, _UPDATE)
        deletes = np.isin(kinds, _DELETE)
        starts = events.starts[rows] + _HEAD + _POST_HEAD
        second = np.isin(kinds, _SECOND_VERSION)
        if second.any():
            extra = events.data[starts].astype(np.int64) + 256 * events.data[starts + 1].astype(np.int64)
            starts = np.where(second, starts + extra, starts)
        places, of_event = _images(table, events, starts, events.ends[rows], np.where(updates, 2, 1))
        within = np.arange(len(places)) - np.searchsorted(of_event, of_event)
        news = updates[of_event] & (within % 2 == 1)
        number = np.cumsum(~news) - 1
        count = int(number[-1]) + 1 if len(number) else 0
        old = (updates[of_event] & ~news) | deletes[of_event]
        before, after = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
        before[number[old]] = places[old]
        after[number[~old]] = places[~old]
        event = of_event[~news]
        row = np.where(updates[event], within[~news] // 2, within[~news])
        ops = pa.array(["c", "u", "d"]).take(pa.array(updates[event] + 2 * deletes[event].astype(np.int64)))
        heads = events.heads[rows]
        positions = heads[:, 3] - events.sizes[rows]
        origins = Origins(heads[event, 0], heads[event, 2], positions[event], row, gtids.take(pa.array(event)))
        source = self._fields.of_changes(table.table, self.transactions.file, origins)
        olds, refused_old = _sides(table, events.data, before)
        fresh, refused_new = _sides(table, events.data, after)
        changes = Changes(table.table, ops, olds, fresh, source, pa.repeat(pa.scalar(now_ms), count))
        return _without_dead(changes, np.where(refused_new > 0, refused_new, refused_old))


def _told(events: Events) -> np.ndarray:
    """MySQL's BEGIN behind the GTID that has told of the transaction: else each transaction were a batch of its own."""
    told = np.isin(events.heads[:, 1], (GTID, MYSQL_GTID, ANONYMOUS))
    told[1:], told[:1] = told[:-1].copy(), False
    told &= events.heads[:, 1] == _QUERY
    for number, letter in enumerate(reversed(b"\0BEGIN"), start=1):
        told &= events.data[events.ends - number] == letter
    return told


def _images(
    table: LoggedTable, events: Events, starts: np.ndarray, ends: np.ndarray, sides: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    try:
        places, of_event = images(events.data, starts, ends, sides, table.layout)
    except LookupError:
        raise ConnectorError(
            f"rows of {table.table.stream} are logged without all of their columns",
            hint="SET GLOBAL binlog_row_image = 'FULL', and in its configuration; open sessions keep the old one",
        ) from None
    except ValueError as error:
        raise DecodeFailed(f"rows of {table.table.stream}: {error}") from error
    return places, of_event


def _sides(table: LoggedTable, data: np.ndarray, places: np.ndarray) -> tuple[pa.StructArray, np.ndarray]:
    fields = table.fields
    if not (places >= 0).any():
        return pa.nulls(len(places), pa.struct(fields)), np.zeros(len(places), np.int32)
    found, refused = decode_images(data, places, table.layout)
    columns = []
    for number, (column, parts) in enumerate(zip(table.columns, found, strict=True)):
        array, bad = column.column(len(places), parts)
        if bad is not None:
            refused = np.where((refused == 0) & bad, number + 1, refused)
        columns.append(array)
    mask = pa.array(places < 0) if (places < 0).any() else None
    return pa.StructArray.from_arrays(columns, fields=fields, mask=mask), refused


def _without_dead(changes: Changes, refused: np.ndarray) -> Found:
    if not refused.any():
        return Found(changes)
    dead = [_letter(changes, place, int(refused[place]) - 1) for place in np.flatnonzero(refused).tolist()]
    keep = pa.array(refused == 0)
    columns = [changes.op, changes.before, changes.after, changes.source, changes.ts_ms]
    return Found(Changes(changes.table, *(column.filter(keep) for column in columns)), dead)


def _letter(changes: Changes, place: int, number: int) -> tuple[bytes, str]:
    before, after = changes.before[place].as_py(), changes.after[place].as_py()
    content = {
        "op": changes.op[place].as_py(),
        "before": before,
        "after": after,
        "source": changes.source[place].as_py(),
    }
    column = changes.table.columns[number]
    row = after or before or {}
    key = ", ".join(f"{name}={row.get(name)}" for name in changes.table.key)
    reason = f"column {column.name} ({column.database_type}) has a value that {column.type} cannot hold"
    encoded = json.dumps(content, default=_text, ensure_ascii=False).encode()
    return encoded, f"{reason}; key {key}" if key else reason


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _inflated(events: Events) -> Events:
    """The same events without those that MariaDB compresses (log_bin_compress): a copy, if there are any."""
    packed = np.flatnonzero(np.isin(events.heads[:, 1], [*_COMPRESSED, _QUERY_COMPRESSED]))
    if not len(packed):
        return events
    heads, starts, ends = events.heads.copy(), events.starts.copy(), events.ends.copy()
    pieces, at = [events.data], len(events.data)
    for place in packed.tolist():
        event = events.data[starts[place] : ends[place]].tobytes()
        kind = int(heads[place, 1])
        head = _statement_head(event) if kind == _QUERY_COMPRESSED else _rows_head(event, kind)
        whole = event[:head] + _unpacked(event[head:])
        pieces.append(np.frombuffer(whole, np.uint8))
        heads[place, 1] = _QUERY if kind == _QUERY_COMPRESSED else _COMPRESSED[kind]
        starts[place], ends[place] = at, at + len(whole)
        at += len(whole)
    return Events(np.concatenate(pieces), starts, ends, heads, events.sizes)


def _statement_head(event: bytes) -> int:
    schema, status = event[_HEAD + 8], int.from_bytes(event[_HEAD + 11 : _HEAD + 13], "little")
    return _HEAD + 13 + status + schema + 1


def _rows_head(event: bytes, kind: int) -> int:
    """Up to the rows: the number of columns, and which of them there are."""
    at = _HEAD + _POST_HEAD
    if _COMPRESSED[kind] in _SECOND_VERSION:
        at += int.from_bytes(event[at : at + 2], "little")
    count, at = event[at], at + 1
    if count == 0xFC:
        count, at = int.from_bytes(event[at : at + 2], "little"), at + 2
    return at + (2 if _COMPRESSED[kind] in _UPDATE else 1) * ((count + 7) // 8)


def _unpacked(content: bytes) -> bytes:
    """A byte with the number of bytes of the length, the length (big-endian), then what zlib made."""
    size = content[0] & 0x07
    try:
        return zlib.decompress(content[1 + size :])
    except zlib.error as error:
        raise DecodeFailed(f"a compressed event: {error}") from error
