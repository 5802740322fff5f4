"""The running status of a pipeline in a file, so that another process can show it.

Replaced as a whole, so that a reader never sees half of it. It is no record of anything: it need not survive
a power cut, and a disk that is full does not stop the pipeline because of it.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from ingest.disk import Disk


class StatusFile:
    """``<data folder>/status/<pipeline>.json``."""

    def __init__(self, folder: Path, pipeline: str, disk: Disk) -> None:
        self.path = status_path(folder, pipeline)
        self._disk = disk

    def write(self, status: dict[str, Any]) -> None:
        """Replaces the file; a disk that refuses is ignored, the next write comes in a second."""
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(status, indent=1), encoding="utf-8")
            self._disk.replace(temporary, self.path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def last_commits(self) -> dict[str, int]:
        """When each task last committed, by what an earlier run wrote here; empty where nobody knows."""
        try:
            tasks = json.loads(self.path.read_text(encoding="utf-8"))["tasks"]
            return {str(task["task"]): int(task["last_commit_ms"]) for task in tasks if task["last_commit_ms"]}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def status_path(folder: Path, pipeline: str) -> Path:
    """Where the status of a pipeline stands below the hub's data folder."""
    return folder / "status" / f"{pipeline}.json"


def read_status(folder: Path, pipeline: str) -> dict[str, Any] | None:
    """The last status that was written; None if there is none. It may be of a process that is gone."""
    try:
        status: dict[str, Any] = json.loads(status_path(folder, pipeline).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return status
