"""The status, readable from another process."""

from __future__ import annotations

import pytest

from ingest.disk import SystemDisk
from ingest.runtime.status_file import StatusFile, read_status


def test_the_last_status_is_read_back_and_nothing_else_is_left(tmp_path):
    file = StatusFile(tmp_path, "logs", SystemDisk())
    for number in range(3):
        file.write({"number": number})
    assert read_status(tmp_path, "logs") == {"number": 2}
    assert [path.name for path in (tmp_path / "status").iterdir()] == ["logs.json"]


def test_no_status_is_none(tmp_path):
    assert read_status(tmp_path, "logs") is None


def test_a_damaged_status_is_none(tmp_path):
    (tmp_path / "status").mkdir()
    (tmp_path / "status" / "logs.json").write_text('{"numb')
    assert read_status(tmp_path, "logs") is None


def test_a_disk_that_refuses_does_not_stop_the_pipeline_and_leaves_the_old_status(tmp_path):
    class Full(SystemDisk):
        def replace(self, source, target):
            raise OSError(28, "No space left on device")

    StatusFile(tmp_path, "logs", SystemDisk()).write({"number": 1})
    StatusFile(tmp_path, "logs", Full()).write({"number": 2})
    assert read_status(tmp_path, "logs") == {"number": 1}
    assert [path.name for path in (tmp_path / "status").iterdir()] == ["logs.json"]


def test_a_folder_that_cannot_be_does_not_stop_the_pipeline(tmp_path):
    (tmp_path / "status").write_text("in the way")
    StatusFile(tmp_path, "logs", SystemDisk()).write({"number": 1})
    assert (tmp_path / "status").read_text() == "in the way"


def test_the_last_commits_of_an_earlier_run_are_found_again(tmp_path):
    file = StatusFile(tmp_path, "logs", SystemDisk())
    file.write({"tasks": [{"task": "sink a", "last_commit_ms": 7}, {"task": "sink b", "last_commit_ms": None}]})
    assert file.last_commits() == {"sink a": 7}


@pytest.mark.parametrize("content", [None, "", "{", "[]", "7", '{"tasks": 1}', '{"tasks": [{"task": "a"}]}'])
def test_without_an_earlier_run_no_commit_is_known(tmp_path, content):
    file = StatusFile(tmp_path, "logs", SystemDisk())
    if content is not None:
        file.path.parent.mkdir()
        file.path.write_text(content)
    assert file.last_commits() == {}
