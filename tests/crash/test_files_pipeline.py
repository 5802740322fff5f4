"""Objects to files, by the source and the sink ``files``: kills anywhere, and every row comes out exactly once."""

from __future__ import annotations

import contextlib
import random
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from crash.audit import dead_values
from crash.landing_site import LandingSite
from crash.program import finish, start
from file_tables import ENDS, read_rows

AFTER = [{}, {"after": "delete"}, {"after": "move", "move_to": "done"}]
SINKS = [
    {"format": "json", "compression": "zstd"},
    {"format": "delimited", "delimited": '{fields_terminated_by: "\\x01"}'},
    {"format": "avro", "compression": "gzip"},
    {"format": "csv", "compression": "gzip"},
]
FAIL_POINTS = (
    "source.polled",
    "source.appended",
    "source.committed",
    "lake.file.synced",
    "lake.manifest.put",
    "lake.publish.file",
    "objects.put-away",
)
ROOT = Path(__file__).parents[2]


def ids(site: LandingSite) -> Counter[int]:
    """The number of each row in the files, as readers that are not ours see them."""
    found: Counter[int] = Counter()
    for path in site.lake.rglob("*"):
        if path.suffix[1:] in ENDS and path.is_file() and not path.name.startswith("."):
            rows = read_rows(path.name, path.read_bytes())
            found.update(int(row["id"] if "id" in row else row["row"]) for row in rows)
    return found


def assert_exactly_once(site: LandingSite) -> None:
    found, dead = ids(site), dead_values(site.pipeline)
    assert not site.good - found, ("lost", (site.good - found).most_common(5))
    assert not found - site.good, ("doubled", (found - site.good).most_common(5))
    assert dead == site.bad


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_every_row_comes_out_once_through_random_kills(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    after, sink = AFTER[seed % len(AFTER)], SINKS[seed % len(SINKS)]
    site = LandingSite(tmp_path, dice, after=after, sink=sink)
    for _ in range(4):
        site.drop(dice.randrange(1, 400))
        process = start(site.pipeline)
        began = tmp_path / "data" / "status" / "landing.json"
        for _ in range(dice.randrange(2, 8)):
            site.drop(dice.randrange(1, 400))
            wait_for(process, dice.uniform(0.05, 0.3) if began.exists() else 0.6)
        process.kill()
        assert process.wait() == -9, "it ended by itself: " + (tmp_path / "said.txt").read_text()[-4000:]
    finish(site.pipeline)
    assert_exactly_once(site)
    if after:
        assert not list(site.landing.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", FAIL_POINTS)
def test_every_row_comes_out_once_when_the_process_dies_at(name: str, tmp_path: Path) -> None:
    dice = random.Random(name)
    site = LandingSite(tmp_path, dice, after={"after": "delete"}, sink=SINKS[0])
    deaths = 0
    for count in (1, 3):
        for _ in range(3):
            site.drop(dice.randrange(100, 400))
        process = start(site.pipeline, "--until-caught-up", INGEST_FAILPOINTS=f"{name}*{count}")
        deaths += process.wait(60) == -9
    assert deaths, f"no run came to {name}"
    finish(site.pipeline)
    assert_exactly_once(site)


def test_the_fail_points_are_there() -> None:
    hit = re.compile(r"""\bhit\(\s*"([a-z0-9.-]+)"\s*\)""")
    folders = ("ingest/runtime", "sources", "sinks")
    found = {
        name for folder in folders for path in (ROOT / folder).rglob("*.py") for name in hit.findall(path.read_text())
    }
    assert set(FAIL_POINTS) <= found


def wait_for(process: subprocess.Popen[str], seconds: float) -> None:
    """Gives the program time, or less if it ends."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
