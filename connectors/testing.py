"""Contract suites that every connector passes, ours and strangers' alike; needs pytest.

Inherit the suite in a test module, name the class ``Test...``, and fill in its few hooks:

    from ingest.connectors.testing import SinkContract, SourceContract, TransformContract

    class TestNotes(SourceContract):
        def source(self, folder):
            return NotesSource(NotesSource.Settings(path=str(folder / "notes.db")))

        def fill(self, folder, rows):
            insert_notes(folder / "notes.db", rows)

``SourceContract``     resumes after a crash at every step, stops while blocked, refuses one record alone
``SinkContract``       commits once, knows where it stands, is fenced, survives a crash at its fail points
``TransformContract``  accounts for every row, rejects one row alone, does not depend on the batch

A test that a hook is missing for is skipped, and says which. The suites use nothing of the engine.
"""

import pytest

pytest.register_assert_rewrite(
    "ingest.connectors.source_contract",
    "ingest.connectors.sink_contract",
    "ingest.connectors.transform_contract",
)

from ingest.connectors.sink_contract import Crash, SinkContract  # noqa: E402
from ingest.connectors.source_contract import SourceContract  # noqa: E402
from ingest.connectors.transform_contract import TransformContract  # noqa: E402

__all__ = ["Crash", "SinkContract", "SourceContract", "TransformContract"]
