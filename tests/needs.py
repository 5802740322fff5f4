"""What a test needs of the machine; tests import it as ``from needs import needs``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
"""Real input that lives beside the repository and is not part of it."""


def needs(present: object, what: str) -> None:
    """Skips the test on a user's machine that lacks ``what``; in the gate that is a failure."""
    if present:
        return
    if os.environ.get("INGEST_GATE"):
        pytest.fail(f"the gate must have {what}")
    pytest.skip(f"this machine has no {what}")
