"""An import whose finished splits commit by themselves, so that a later run goes on with the rest.

The splits of a wave are read at the same time and commit together, with the splits that are done in the position. After
a crash the rest is read at another moment; the position keeps all moments, and the last report says how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ingest.connectors import Polled, Position
from ingest.sources.databases.reader import Finished, Piece, TableReader
from ingest.sources.databases.tables import TableInfo
from ingest.sources.sql.handing import Handing
from ingest.sources.sql.rounds import VERSION, WAIT_MS, Round

UNFINISHED = "unfinished"


class ResumableRound(Round):
    """``divide`` makes the pieces of a table that is begun now; those of one that was begun stand in its position."""

    def __init__(
        self,
        reader: TableReader,
        tables: Sequence[TableInfo],
        handing: Handing,
        positions: Mapping[str, Position],
        divide: Callable[[TableInfo], Sequence[Piece]],
        at_once: int,
        report: Callable[[str], None],
        began_ms: int,
    ) -> None:
        self._reader = reader
        self._handing = handing
        self._at_once = at_once
        self._report = report
        self._states: dict[str, dict[str, Any]] = {}
        self._waiting: list[tuple[str, int, Piece]] = []
        for table in tables:
            state = _state(positions.get(table.stream), table, divide, began_ms)
            self._states[table.stream] = state
            todo = [number for number in range(len(state["splits"])) if number not in state["done"]]
            self._waiting += [(table.stream, number, Piece(table, state["splits"][number])) for number in todo]
        self._wave: list[tuple[str, int, Piece]] = []

    def poll(self) -> Polled | None:
        if not self._wave:
            if not self._waiting:
                raise Finished
            self._wave, self._waiting = self._waiting[: self._at_once], self._waiting[self._at_once :]
            self._reader.read([piece for _, _, piece in self._wave])
        try:
            part = self._reader.next_part(WAIT_MS)
        except Finished:
            return self._end_of_wave()
        if part is None:
            return None
        self.count(part)
        self._states[part.table.stream]["rows"] += len(part.rows) + len(part.dead)
        return self._handing.step(part, goes_on=True)

    def _end_of_wave(self) -> Polled:
        streams = {stream for stream, _, _ in self._wave}
        for stream, number, _ in self._wave:
            self._states[stream]["done"].append(number)
        self._wave = []
        return Polled((), {stream: self._position(stream) for stream in streams})

    def _position(self, stream: str) -> Position:
        state = self._states[stream]
        done, count = len(state["done"]), len(state["splits"])
        position = {"version": VERSION, "rows": state["rows"], "read_at_ms": state["moments"][-1]}
        position["moments"] = list(state["moments"])
        if done < count:
            self._report(f"{stream}: {done} of {count} splits are committed, {state['rows']:,} rows")
            return position | {UNFINISHED: {"splits": state["splits"], "done": sorted(state["done"])}}
        if len(state["moments"]) > 1:
            self._report(f"{stream}: its rows are from {len(state['moments'])} moments, as the import was interrupted")
        return position


def _state(
    position: Position | None, table: TableInfo, divide: Callable[[TableInfo], Sequence[Piece]], now_ms: int
) -> dict[str, Any]:
    unfinished = None if position is None else position.get(UNFINISHED)
    if position is None or unfinished is None:
        return {"splits": [piece.condition for piece in divide(table)], "done": [], "rows": 0, "moments": [now_ms]}
    return {
        "splits": list(unfinished["splits"]),
        "done": list(unfinished["done"]),
        "rows": int(position["rows"]),
        "moments": [*position["moments"], now_ms],
    }
