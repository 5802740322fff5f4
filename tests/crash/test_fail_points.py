"""The process dies at each named step of each commit; the next run leaves every line exactly once."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from crash.audit import assert_exactly_once
from crash.program import finish, start
from crash.site import Site

ROOT = Path(__file__).parents[2]
FOLDERS = ("ingest/log", "ingest/hub", "ingest/runtime", "sources", "sinks")
_HIT = re.compile(r"""\bhit\(\s*"([a-z0-9.-]+)"\s*\)""")

ELSEWHERE = re.compile(
    r"^(log\.(compact|retain|recover|cut)|store\.(delete|alter|checkpoint)|file\.spool|lake\.strays|compact\.|objects\.)"
)
"""Steps that this pipeline does not come to; the tests of their own layer crash there."""

ALWAYS_REACHED = re.compile(
    r"^(source\.|sink\.(read|put|flushed|reported)|lake\.(file|manifest|publish)|txn\.(data|decided)|log\.(append|sync))"
)
"""Every run comes to these; to others (a completion that rides along with a later commit) only some runs come."""


def fail_points() -> list[str]:
    """Every name that the code hits."""
    names: set[str] = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            names.update(_HIT.findall(path.read_text()))
    return sorted(name for name in names if not ELSEWHERE.search(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", fail_points())
def test_every_line_comes_out_once_when_the_process_dies_at(name: str, tmp_path: Path) -> None:
    dice = random.Random(name)
    site = Site(tmp_path, dice, max_batch="16KiB", roll_rows=200)
    deaths = 0
    for count in (1, 2, 5):
        site.write(600)
        process = start(site.pipeline, "--until-caught-up", INGEST_FAILPOINTS=f"{name}*{count}")
        deaths += process.wait(60) == -9
        site.rotate()
    assert deaths or not ALWAYS_REACHED.match(name), f"no run came to {name}"
    finish(site.pipeline)
    assert_exactly_once(site)


def test_there_are_fail_points_at_every_layer() -> None:
    layers = {name.split(".")[0] for name in fail_points()}
    assert {"log", "txn", "source", "sink", "lake"} <= layers
