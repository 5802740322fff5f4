"""What all tests share: the ``--slow`` switch, and loud skips that the gate turns into failures."""

from __future__ import annotations

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow") or config.getoption("-m"):
        return
    skip = pytest.mark.skip(reason="slow: run with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


def needs(present: object, what: str) -> None:
    """Skips the test on a user's machine that lacks ``what``; in the gate that is a failure."""
    if present:
        return
    if os.environ.get("INGEST_GATE"):
        pytest.fail(f"the gate must have {what}")
    pytest.skip(f"this machine has no {what}")
