"""File system events wake the source; without them it looks by itself."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ingest.sources.file.watch import Watch

_PATIENCE_S = 20


def test_an_event_wakes(tmp_path: Path) -> None:
    wake = threading.Event()
    reports: list[str] = []
    watch = Watch({str(tmp_path): False}, wake, reports.append)
    try:
        for change in (lambda: (tmp_path / "x").write_text("one"), lambda: (tmp_path / "x").rename(tmp_path / "y")):
            wake.clear()
            change()
            assert wake.wait(_PATIENCE_S)
    finally:
        watch.close()
    assert reports == []


@pytest.mark.parametrize("missing", ["nowhere", "nowhere/at/all"])
def test_a_folder_that_is_not_there_is_told_and_polled(tmp_path: Path, missing: str) -> None:
    reports: list[str] = []
    watch = Watch({str(tmp_path / missing): True}, threading.Event(), reports.append)
    watch.close()
    watch.close()
    assert len(reports) == 1
    assert "it is polled" in reports[0]
