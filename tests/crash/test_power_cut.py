"""The power fails at random moments: what was not synced is gone, bytes and names. Every line comes out once."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from crash.audit import assert_exactly_once
from crash.program import finish
from crash.site import Site, live
from journal_disk import apply_power_cut

CUTS_PER_RUN = 8


@pytest.mark.slow
@pytest.mark.parametrize("spare", [0.0, 0.5], ids=["all unsynced is lost", "half of it is lost"])
def test_every_line_comes_out_once_through_power_cuts(tmp_path: Path, spare: float) -> None:
    dice = random.Random(int(spare * 10) + 3)
    site = Site(tmp_path, dice)
    roots = [tmp_path / "data", tmp_path / "lake"]
    for root in roots:
        root.mkdir()
    site.write(500)
    worked = 0
    for number in range(CUTS_PER_RUN):
        journal = tmp_path / f"journal-{number}"
        process = _start(site, journal)
        live(site, process, dice)
        process.kill()
        assert process.wait() == -9, (tmp_path / "said.txt").read_text()[-4000:]
        worked += journal.exists()
        apply_power_cut(roots, journal, dice, spare=spare)
    assert worked, "every kill came before the program had begun"
    finish(site.pipeline)
    assert_exactly_once(site)


def _start(site: Site, journal: Path) -> subprocess.Popen[str]:
    program = Path(__file__).with_name("power_cut_program.py")
    with (site.folder / "said.txt").open("a") as said:
        return subprocess.Popen(
            [sys.executable, str(program), str(site.pipeline), str(journal)], stdout=said, stderr=said, text=True
        )
