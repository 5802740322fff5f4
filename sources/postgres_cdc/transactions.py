"""Where each transaction begins and ends, and the number of each change in it. Debezium's fields."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from ingest.connectors import Origin, Records
from ingest.sources.databases.changes import TRANSACTION
from ingest.sources.postgres_cdc.messages import Scanned
from ingest.sources.postgres_cdc.place import STREAM, Place
from ingest.sources.postgres_cdc.times import unix_ms

_COLLECTIONS = pa.list_(pa.struct([("data_collection", pa.string()), ("event_count", pa.int64())]))
_VALUE = pa.struct(
    [
        ("status", pa.string()),
        ("id", pa.string()),
        ("event_count", pa.int64()),
        ("data_collections", _COLLECTIONS),
        ("ts_ms", pa.int64()),
    ]
)


class Transactions:
    """Counts the captured changes of each transaction, those too that were taken before a restart: both runs give the
    same numbers."""

    def __init__(self, topic: str, source: str, name_of: Callable[[int], str | None]) -> None:
        self._topic = topic
        self._source = source
        self._name_of = name_of
        self._counts: list[Counter[str]] = []

    def begin(self, piece: Scanned, *, inside: bool) -> None:
        """Before the changes of a piece; ``inside``: its first transaction began in an earlier one."""
        open_one = self._counts[-1:] if inside else []
        self._counts = [*open_one, *(Counter() for _ in range(len(piece.commits) - len(open_one)))]
        self._total = np.zeros(len(piece.relation), np.int64)
        self._of_table = np.zeros(len(piece.relation), np.int64)
        self._inside = inside

    def count(self, piece: Scanned, first: int, last: int) -> None:
        """Numbers the changes from ``first`` to ``last``, whose tables are described by now."""
        within = piece.transaction[first:last]
        for transaction in np.unique(within):
            counts = self._counts[transaction]
            places = first + np.flatnonzero(within == transaction)
            relations = piece.relation[places]
            names = {number: self._name_of(int(number)) for number in np.unique(relations)}
            captured = places[np.isin(relations, [number for number, name in names.items() if name is not None])]
            self._total[captured] = counts.total() + 1 + np.arange(len(captured))
            for number, name in names.items():
                if name is not None:
                    own = places[relations == number]
                    self._of_table[own] = counts[name] + 1 + np.arange(len(own))
                    counts[name] += len(own)

    def of_changes(self, piece: Scanned, places: np.ndarray) -> pa.StructArray:
        """What stands in the changes' own records."""
        ids = pa.array(_ids(piece)).take(pa.array(piece.transaction[places]))
        columns = [ids, pa.array(self._total[places]), pa.array(self._of_table[places])]
        return pa.StructArray.from_arrays(columns, fields=list(TRANSACTION))

    def records(self, piece: Scanned, place: Place) -> Records | None:
        """BEGIN and END of the piece's transactions, except what was told before ``place``."""
        rows = []
        times = unix_ms(piece.times_us).tolist()
        for number, (known, commit) in enumerate(zip(_ids(piece), piece.commits.tolist(), strict=True)):
            if commit < max(place.end, place.commit):
                continue
            told = {"id": known, "ts_ms": times[number]}
            if commit != place.commit and not (self._inside and number == 0):
                rows.append({"status": "BEGIN", **told})
            if piece.ends[number]:
                rows.append({"status": "END", **told, **_counted(self._counts[number])})
        if not rows:
            return None
        return Records(
            value=pa.array(rows, _VALUE),
            key=pa.array([json.dumps({"id": row["id"]}, separators=(",", ":")).encode() for row in rows]),
            topic=self._topic,
            stream=STREAM,
            origin=Origin(self._source, "transactions"),
        )


def _ids(piece: Scanned) -> list[str]:
    return [f"{xid}:{commit}" for xid, commit in zip(piece.xids.tolist(), piece.commits.tolist(), strict=True)]


def _counted(counts: Counter[str]) -> dict[str, object]:
    collections = [{"data_collection": name, "event_count": count} for name, count in sorted(counts.items())]
    return {"event_count": counts.total(), "data_collections": collections}
