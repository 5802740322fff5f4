"""What a refusal of the system says, and whether waiting may help."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ingest.errors import Permanent, Retriable, StorageDenied, StorageFailed, StorageFull
from ingest.log.storage_failure import storage


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_room_may_come(number: int) -> None:
    failed = refused(number)
    assert isinstance(failed, StorageFull)
    assert not isinstance(failed, Permanent)


@pytest.mark.parametrize(
    "number",
    [
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.EFBIG,
    ],
)
def test_a_refusal_stays_until_somebody_changes_something(number: int) -> None:
    failed = refused(number)
    assert isinstance(failed, StorageDenied)
    assert isinstance(failed, Permanent)
    assert failed.hint


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ENFILE, errno.EBUSY, errno.ETIMEDOUT])
def test_anything_else_may_pass(number: int) -> None:
    assert type(refused(number)) is StorageFailed


def test_the_path_is_that_of_the_call_that_failed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageDenied, match="file/x: Not a directory") as caught, storage(tmp_path, "list"):
        os.listdir(tmp_path / "file" / "x")
    assert caught.value.facts["path"] == str(tmp_path / "file" / "x")


def refused(number: int) -> StorageFailed:
    with pytest.raises(StorageFailed, match="cannot write /lake") as caught, storage(Path("/lake")):
        raise OSError(number, os.strerror(number))
    assert isinstance(caught.value, Retriable)
    assert caught.value.facts["errno"] == number
    return caught.value
