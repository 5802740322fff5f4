"""``ingest run --until-caught-up`` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path


def run(pipeline: Path) -> tuple[float, float]:
    """(seconds, CPU seconds) that it took, its start and end included."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began, before = time.monotonic(), os.times()
    command = [sys.executable, "-m", "ingest", "run", str(pipeline), "--until-caught-up"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - began, cpu
