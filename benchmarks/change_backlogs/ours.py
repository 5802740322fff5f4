"""Takes what waits, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.whole_process import Run, run_once


def run(pipeline: Path) -> Run:
    """``ingest run --until-caught-up``, from its start to its end."""
    return run_once([sys.executable, "-m", "ingest", "run", str(pipeline), "--until-caught-up"])
