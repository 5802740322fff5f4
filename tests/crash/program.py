"""The program under test, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

INGEST = [sys.executable, "-m", "ingest"]


def start(pipeline: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    """``ingest run`` in the background; what it says goes to ``said.txt`` beside the pipeline."""
    with (pipeline.parent / "said.txt").open("a") as said:
        return subprocess.Popen(
            [*INGEST, "run", str(pipeline), "--wait", "10", *options],
            stdout=said,
            stderr=said,
            text=True,
            env={**os.environ, **environment},
        )


def finish(pipeline: Path) -> None:
    """Runs until everything is in the lake; anything but exit 0 is a failure that shows what was said."""
    done = subprocess.run(
        [*INGEST, "run", str(pipeline), "--until-caught-up", "--wait", "10"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, (
        f"exit {done.returncode}\n{done.stderr}\n{(pipeline.parent / 'said.txt').read_text()[-4000:]}"
    )
