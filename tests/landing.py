"""Drives a ``files`` source by hand, over a folder ``in`` whose objects a test makes."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

from tailing import ManualClock, Tail

from ingest.connectors import SourceContext, SourceTask
from ingest.environment import Environment
from ingest.sources.files.connector import FilesSource
from ingest.sources.files.settings import FilesSettings


class Landing(Tail):
    """As ``Tail``; objects are as old as they need to be unless told."""

    def __init__(self, folder: Path, *, batch_bytes: int = 1 << 20, until: bool = False, **settings: Any) -> None:
        super().__init__(folder, batch_bytes=batch_bytes, until=until)
        self.source = FilesSettings(**({"url": "in", "every": 1000} | settings))
        self.clock = ManualClock()
        self.environment = Environment(clock=self.clock, random=random.Random(7))
        (folder / "in").mkdir(exist_ok=True)

    @property
    def task(self) -> SourceTask:
        if self._task is None:
            self._task = FilesSource(self.source).tasks(1)[0]
            self.context = SourceContext(
                name="files",
                base_folder=self.folder,
                environment=self.environment,
                until_caught_up=self.until,
                max_batch_bytes=self.batch_bytes,
                report=self.reports.append,
            )
            self._task.open(self.context, dict(self.positions))
        return self._task

    def put(self, name: str, content: bytes | str, *, age_ms: int = 60_000) -> Path:
        """Writes an object that was last changed so long before now, by the source's clock."""
        path = self.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        modified = (self.clock.now_ms() - age_ms) / 1000
        os.utime(path, (modified, modified))
        return path

    def settle(self, wait_ms: int = 2000) -> list[Any]:
        return super().settle(wait_ms)

    @property
    def errors(self) -> list[str]:
        return [dead.error for dead in self.dead]
