"""Progress of a run: a live table on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ingest.cli.lag_text import lag_text
from ingest.cli.talk import Talk

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

_LINE_EVERY_S = 10.0


class ProgressView:
    """A context manager; ``tick`` is called a few times a second by the thread that entered it."""

    def __init__(self, talk: Talk, status: Callable[[], Sequence[dict[str, Any]]], *, quiet: bool) -> None:
        self._talk = talk
        self._status = status
        self._quiet = quiet
        self._live: Live | None = None
        self._next_line_s = time.monotonic() + _LINE_EVERY_S

    def __enter__(self) -> ProgressView:
        if not self._quiet and not self._talk.json and sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), refresh_per_second=4, transient=True)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def tick(self) -> None:
        """Shows where things stand, if it is time to."""
        if self._live is not None:
            self._live.update(_table(self._status()))
        elif not self._quiet and time.monotonic() >= self._next_line_s:
            self._next_line_s = time.monotonic() + _LINE_EVERY_S
            for state in self._status():
                for task in state["tasks"]:
                    self._talk.say(_line(state["pipeline"], task), pipeline=state["pipeline"], **task)


def _line(pipeline: str, task: dict[str, Any]) -> str:
    pending = f" and {task['pending']} pending" if task["pending"] else ""
    behind = lag_text(task)
    lag = "" if behind is None else f", lag {behind}"
    return f"{pipeline}: {task['task']} {task['state']}, {task['records']} records{pending}, {_rate(task)}{lag}"


def _rate(task: dict[str, Any]) -> str:
    return f"{task['records_per_second']:,.0f}/s {task['bytes_per_second'] / 1e6:,.1f} MB/s"


def _table(status: Sequence[dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("pipeline", "task", "state"):
        table.add_column(name)
    for name in ("records", "pending", "rate", "lag", "commits", "dead letters"):
        table.add_column(name, justify="right")
    for state in status:
        for task in state["tasks"]:
            counts = [f"{task[name]:,}" for name in ("records", "pending")]
            counts += [_rate(task), lag_text(task) or "-", str(task["commits"]), str(task["dead_letters"])]
            table.add_row(state["pipeline"], task["task"], task["state"], *counts)
    return table
