"""What a refusal of another machine's file system becomes."""

from __future__ import annotations

import pytest

from ingest.errors import ConnectorError, Retriable, SystemUnavailable
from ingest.sinks.lake.store_renaming import answering


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), NotADirectoryError(20, "Not a directory")])
def test_what_somebody_must_change_is_not_tried_again(error: OSError) -> None:
    with pytest.raises(ConnectorError, match="hdfs://lake/t: ") as caught, answering("hdfs://lake/t"):
        raise error
    assert not isinstance(caught.value, Retriable)
    assert caught.value.hint


@pytest.mark.parametrize("error", [ConnectionRefusedError(111, "refused"), TimeoutError("no answer")])
def test_what_may_pass_is(error: OSError) -> None:
    with pytest.raises(SystemUnavailable, match="hdfs://lake/t: "), answering("hdfs://lake/t"):
        raise error
