"""Measures commands as whole processes, in turn: wall time, CPU time, peak memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one command; CPU is user and system time of the process and its children."""

    wall_s: float
    cpu_s: float
    peak_mb: float


_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Installed programs are compiled to bytecode by pip; those of a checkout, by the round that is not counted."""


def run_once(command: Sequence[str]) -> Run:
    """Runs ``command``; what it prints goes to stderr of ours only if it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_ENVIRONMENT)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{said.decode(errors='replace')}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def interleaved(
    commands: Mapping[str, Sequence[str]], runs: int, before: Callable[[str], None] = lambda name: None
) -> dict[str, list[Run]]:
    """A B C A B C ..., after one round that is not counted. ``before`` prepares each run (untimed)."""
    found: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, command in commands.items():
            before(name)
            run = run_once(command)
            if number:
                found[name].append(run)
    return found


def median(runs: Sequence[Run], figure: str) -> float:
    """The median of one figure."""
    return statistics.median(getattr(run, figure) for run in runs)
