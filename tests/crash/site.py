"""A web server that writes its log, rotates it, and knows what it wrote."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

PIPELINE = """\
name: site
hub: ./data
topics:
  access: {{config: {{segment.bytes: 65536}}}}
sources:
  - name: web
    type: file
    paths: ['{logs}/access.log*']
    rotate_wait: 200ms
    topic: access
    max_batch: {max_batch}
    transforms:
      - type: parse
        format: regex
        pattern: '^(?P<id>\\d+) (?P<word>\\S+) (?P<bytes>\\d+)$'
        types: {{bytes: int64}}
sinks:
  - name: lake
    type: parquet
    topics: [access]
    url: ./lake
    partition_by: [word]
    roll: {{rows: {roll_rows}, interval: 150ms}}
    transforms:
      - type: cast
        columns: {{bytes: int16}}
errors: {{tolerance: dead-letter, topic: site.dead}}
"""

WORDS = ["alpha", "beta", "gamma"]


class Site:
    """One log folder. Each line holds a number of its own; a few lines cannot be parsed, a few cannot be cast at
    the sink: both must end as dead letters, once."""

    def __init__(self, folder: Path, random: random.Random, *, max_batch: str = "64KiB", roll_rows: int = 500) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True)
        self.pipeline = folder / "pipeline.yaml"
        self.pipeline.write_text(PIPELINE.format(logs="logs", max_batch=max_batch, roll_rows=roll_rows))
        self.lake = folder / "lake"
        self.good: Counter[str] = Counter()
        self.bad_lines: Counter[str] = Counter()
        self.bad_rows: set[str] = set()
        self._random = random
        self._next = 0
        self._rotations = 0

    def write(self, count: int) -> None:
        """Appends ``count`` lines, in one or two writes, the first perhaps ending within a line."""
        data = "".join(self._line() + "\n" for _ in range(count)).encode()
        cut = self._random.randrange(len(data)) if self._random.random() < 0.3 else len(data)
        for part in (data[:cut], data[cut:]):
            with (self.logs / "access.log").open("ab", buffering=0) as file:
                file.write(part)

    def rotate(self) -> None:
        """As logrotate does: rename (and sometimes compress the older ones), or copy and truncate."""
        current = self.logs / "access.log"
        if not current.exists() or current.stat().st_size == 0:
            return
        self._shift()
        self._rotations += 1
        if self._random.random() < 0.7:
            current.rename(self.logs / "access.log.1")
        else:
            shutil.copyfile(current, self.logs / "access.log.1")
            os.truncate(current, 0)

    def _shift(self) -> None:
        """Makes room for a new ``.1``: every rotated file moves on by one, some of them compressed on the way."""
        for number in range(self._rotations, 0, -1):
            for suffix in ("", ".gz"):
                old = self.logs / f"access.log.{number}{suffix}"
                if not old.exists():
                    continue
                new = self.logs / f"access.log.{number + 1}{suffix}"
                if suffix == "" and self._random.random() < 0.4:
                    compressed = self.logs / f"tmp-{number}"
                    compressed.write_bytes(gzip.compress(old.read_bytes()))
                    compressed.rename(new.with_name(new.name + ".gz"))
                    old.unlink()
                else:
                    old.rename(new)

    def _line(self) -> str:
        number, self._next = self._next, self._next + 1
        roll = self._random.random()
        if roll < 0.01:
            line = f"broken line number {number}"
            self.bad_lines[line] += 1
            return line
        if roll < 0.02:
            self.bad_rows.add(str(number))
            return f"{number} {self._random.choice(WORDS)} 99999"
        self.good[str(number)] += 1
        return f"{number} {self._random.choice(WORDS)} {self._random.randrange(30_000)}"


def live(site: Site, process: subprocess.Popen[str], dice: random.Random) -> None:
    """The site goes on while the program starts and works; most kills come some time after it has begun."""
    waits_for_begin = dice.random() < 0.85
    end = time.monotonic() + dice.uniform(0.05, 1.0)
    while process.poll() is None and (waits_for_begin or time.monotonic() < end):
        site.write(dice.randrange(1, 60))
        if dice.random() < 0.02:
            site.rotate()
        try:
            process.wait(dice.uniform(0.005, 0.05))
        except subprocess.TimeoutExpired:
            if waits_for_begin and _has_begun(site, process.pid):
                waits_for_begin, end = False, time.monotonic() + dice.uniform(0.0, 1.2)


def _has_begun(site: Site, pid: int) -> bool:
    """The worker writes its status when it starts."""
    status = site.folder / "data" / "status" / "site.json"
    return status.exists() and f'"pid": {pid},' in status.read_text()
