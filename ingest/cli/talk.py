"""What the program says to people (text) or to machines (JSON lines), on stderr. Thread-safe."""

from __future__ import annotations

import datetime
import json
import sys
import threading
from contextlib import suppress

from ingest.errors import IngestError


class Talk:
    """Talk never goes to stdout: that is for data."""

    def __init__(self, *, json: bool = False) -> None:
        self.json = json
        self._lock = threading.Lock()

    def say(self, message: str, **facts: object) -> None:
        self._write("info", message, None, facts)

    def warn(self, message: str, *, hint: str | None = None, **facts: object) -> None:
        self._write("warning", message, hint, facts)

    def error(self, error: IngestError) -> None:
        self._write("error", error.message, error.hint, error.facts)

    def _write(self, level: str, message: str, hint: str | None, facts: dict[str, object]) -> None:
        line = self._as_json(level, message, hint, facts) if self.json else _as_text(level, message, hint)
        # a reader that has gone does not stop the work that it was told about
        with self._lock, suppress(BrokenPipeError):
            print(line, file=sys.stderr, flush=True)

    def _as_json(self, level: str, message: str, hint: str | None, facts: dict[str, object]) -> str:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        values = {"time": now, "level": level, "message": message, **({"hint": hint} if hint else {}), **facts}
        return json.dumps(values, default=str)


def _as_text(level: str, message: str, hint: str | None) -> str:
    prefix = "" if level == "info" else f"{level}: "
    return f"{prefix}{message}" + (f"\n  hint: {hint}" if hint else "")
