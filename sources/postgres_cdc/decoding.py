"""From a piece of the stream to the changes in it, table by table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.sources.databases.changes import Changes
from ingest.sources.databases.tables import TableInfo
from ingest.sources.postgres_cdc import messages
from ingest.sources.postgres_cdc.columns import Rows, filled
from ingest.sources.postgres_cdc.messages import Scanned
from ingest.sources.postgres_cdc.source_fields import SourceFields
from ingest.sources.postgres_cdc.tables import StreamedTable
from ingest.sources.postgres_cdc.times import unix_ms

_NAMES = pa.array(["c", "u", "d", "t"])
_CODES = np.zeros(256, np.int8)
for _code, _letter in enumerate((messages.INSERT, messages.UPDATE, messages.DELETE, messages.TRUNCATE)):
    _CODES[_letter] = _code


@dataclass(frozen=True, slots=True)
class Refused:
    """Changes that cannot be told as they are: as JSON, each with a reason."""

    table: TableInfo
    contents: Sequence[bytes]
    reasons: Sequence[str]


def grouped(scanned: Scanned, taken: np.ndarray, *, in_order: bool) -> Iterator[tuple[int, np.ndarray]]:
    """The changes that ``taken`` marks, by table: its number and their places, in the order of the log within a table,
    or of all of them (``in_order``: then one group ends where the next change is of another table)."""
    places = np.flatnonzero(taken)
    relation = scanned.relation[places]
    if not len(places):
        return
    if in_order:
        borders = np.flatnonzero(np.diff(relation)) + 1
        for part in np.split(places, borders):
            yield int(scanned.relation[part[0]]), part
        return
    for number in np.unique(relation):
        yield int(number), places[relation == number]


class Decoder:
    """Makes ``Changes`` of the changes of one table."""

    def __init__(self, fields: SourceFields) -> None:
        self._fields = fields

    def changes(
        self,
        data: np.ndarray,
        scanned: Scanned,
        places: np.ndarray,
        streamed: StreamedTable,
        *,
        before: np.ndarray,
        now_ms: int,
        transaction: pa.StructArray | None = None,
    ) -> tuple[Changes, Refused | None]:
        """Of the changes at ``places``; ``before`` holds for each transaction where the one before it ended."""
        old_at, new_at = scanned.old[places], scanned.new[places]
        old = streamed.decoder.decode(data, old_at)
        new = filled(streamed.decoder.decode(data, new_at), old, scanned.whole[places].astype(bool))
        within = scanned.transaction[places]
        ts_ms = unix_ms(scanned.times_us[within])
        changes = Changes(
            streamed.table,
            _NAMES.take(pa.array(_CODES[scanned.operation[places]])),
            _struct(streamed, old, old_at < 0),
            _struct(streamed, new, new_at < 0),
            self._fields.of_changes(streamed.table, ts_ms, scanned.lsn[places], before[within], scanned.xids[within]),
            pa.repeat(pa.scalar(now_ms, pa.int64()), len(places)),
            transaction,
        )
        refused = np.where(new.refused != 0, new.refused, old.refused)
        return _split(changes, refused)


def _struct(streamed: StreamedTable, rows: Rows, missing: np.ndarray) -> pa.StructArray:
    mask = pa.array(missing) if missing.any() else None
    return pa.StructArray.from_arrays(rows.columns, fields=streamed.decoder.fields, mask=mask)


def _split(changes: Changes, refused: np.ndarray) -> tuple[Changes, Refused | None]:
    if not refused.any():
        return changes, None
    bad, good = pa.array(np.flatnonzero(refused)), pa.array(refused == 0)
    contents, reasons = [], []
    rows = pc.make_struct(
        changes.op.take(bad),
        changes.before.take(bad),
        changes.after.take(bad),
        changes.source.take(bad),
        field_names=["op", "before", "after", "source"],
    )
    for row, number in zip(rows.to_pylist(), refused[refused != 0], strict=True):
        contents.append(json.dumps(row, default=_text, ensure_ascii=False).encode())
        reasons.append(_reason(changes.table, row, int(number) - 1))
    kept = Changes(
        changes.table,
        changes.op.filter(good),
        changes.before.filter(good),
        changes.after.filter(good),
        changes.source.filter(good),
        changes.ts_ms.filter(good),
        None if changes.transaction is None else changes.transaction.filter(good),
    )
    return kept, Refused(changes.table, contents, reasons)


def _reason(table: TableInfo, row: dict[str, dict[str, object]], number: int) -> str:
    column = table.columns[number]
    known = row["after"] or row["before"] or {}
    names = ", ".join(f"{name}={known[name]}" for name in table.key if name in known)
    reason = (
        f"column {column.name} ({column.database_type}) has a value that {column.type} cannot hold, or one that the "
        "server did not send"
    )
    return f"{reason}; key {names}" if names else reason


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
