"""What became of a command that runs for long: kept in the hub's folder, so that the same command goes on where a crash
has cut it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


class KeptCommand:
    """``imports/`` or ``exports/`` in the hub's folder: for each identity a state, and a pipeline file of each run.

    A state is JSON; ``number`` in it counts the runs: each has positions, topics and commits of its own.
    """

    def __init__(self, data: Path, kind: str, identity: str) -> None:
        self._folder = data / f"{kind}s"
        self._kind = kind
        self._identity = identity

    def name(self, number: int) -> str:
        """Of the pipeline."""
        return f"{self._kind}-{self._identity}-{number}"

    def pipeline_file(self, number: int) -> Path:
        """Where ``ingest status`` and ``ingest dead-letters`` find it."""
        return self._folder / f"{self.name(number)}.yaml"

    def read(self) -> Mapping[str, Any]:
        """As it was left; empty at the first time."""
        found: Mapping[str, Any] = {}
        with suppress(FileNotFoundError):
            found = json.loads(self._path.read_text())
        return found

    def write(self, state: Mapping[str, Any]) -> None:
        """On disk when it returns."""
        self._put(self._path, json.dumps(state))

    def write_pipeline(self, number: int, text: str) -> Path:
        """The same."""
        self._put(self.pipeline_file(number), text)
        return self.pipeline_file(number)

    @property
    def _path(self) -> Path:
        return self._folder / f"{self._identity}.json"

    def _put(self, path: Path, text: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f"{path.suffix}.{os.getpid()}")
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
