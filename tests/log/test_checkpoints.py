"""Checkpoint files: read back what was written, and nothing from a damaged one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.disk import SystemDisk
from ingest.log.checkpoints import read_checkpoint, write_checkpoint

OFFSETS = {("access", 0): 1841, ("access", 1): 17, ("b.c", 0): 2**62}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_checkpoint(SystemDisk(), tmp_path / "c", OFFSETS)
    assert (tmp_path / "c").read_text() == f"0\n3\naccess 0 1841\naccess 1 17\nb.c 0 {2**62}\n"
    assert read_checkpoint(tmp_path / "c") == OFFSETS
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_file_cut_anywhere_reads_as_empty(tmp_path: Path) -> None:
    write_checkpoint(SystemDisk(), tmp_path / "c", OFFSETS)
    whole = (tmp_path / "c").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "c").write_bytes(whole[:length])
        assert read_checkpoint(tmp_path / "c") == {}


@given(junk=st.binary(max_size=60))
def test_junk_reads_as_empty(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    path = tmp_path_factory.mktemp("junk") / "c"
    path.write_bytes(junk)
    if not junk.startswith(b"0"):
        assert read_checkpoint(path) == {}


def test_a_missing_file_reads_as_empty(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path / "none") == {}
