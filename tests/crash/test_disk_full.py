"""The disk of the hub, then of the lake, fills up in the middle of a run: exit 1; with room again, the rest."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash.audit import assert_exactly_once
from crash.program import INGEST, finish
from crash.site import Site
from small_disk import small_disk


@pytest.fixture
def disk() -> Iterator[Path]:
    with small_disk("4m") as disk:
        yield disk


@pytest.mark.slow
@pytest.mark.parametrize("which", ["data", "lake"])
def test_a_full_disk_stops_the_run_and_room_lets_it_finish(which: str, tmp_path: Path, disk: Path) -> None:
    site = Site(tmp_path / "site", random.Random(which))
    (site.folder / which).symlink_to(disk / which)
    (disk / which).mkdir()
    text = site.pipeline.read_text().replace("roll:", "retry: {budget: 2}\n    roll:")
    site.pipeline.write_text(text.replace("type: file", "type: file\n    retry: {budget: 2}"))
    filler = disk / "filler"
    filler.write_bytes(bytes(2_500_000 if which == "data" else 3_900_000))
    site.write(60_000)
    done = subprocess.run(
        [*INGEST, "run", str(site.pipeline), "--until-caught-up"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1, done.stderr
    assert "No space left" in done.stderr or "full" in done.stderr, done.stderr
    assert str(disk) in done.stderr or str(site.folder / which) in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
    finish(site.pipeline)
    assert_exactly_once(site)
