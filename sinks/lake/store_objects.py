"""Google Cloud Storage and Azure Blob Storage, through fsspec.

An object appears whole or not at all. A rename is a copy inside the store and a delete, so a crash may leave both
names: the one that is hidden is removed with the other temporaries. Put-if-absent is the store's own (a generation
match of 0, ``If-None-Match``), which fsspec calls ``mode="create"``.
"""

from __future__ import annotations

import contextlib

from ingest.errors import SystemUnavailable
from ingest.sinks.lake.store_renaming import RenamingStore, answering


class ObjectStore(RenamingStore):
    """``root`` is ``bucket/prefix`` (Azure: ``container/prefix``)."""

    def put_if_absent(self, path: str, content: bytes, writer: str) -> bool:
        error: SystemUnavailable | None = None
        try:
            with answering(self.describe(path)), contextlib.suppress(FileExistsError):
                self._filesystem.pipe_file(self._full(path), content, mode="create")
        except SystemUnavailable as unanswered:
            error = unanswered  # it may have landed all the same: what is there decides
        found = self.read(path)
        if found is None:
            raise error or SystemUnavailable(f"{self.describe(path)} is not there after it was put")
        return found == content
