"""A real Airflow: these tests run in an environment that has it (``scripts/test-airflow``)."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from needs import needs

collect_ignore = ["dags"]


@pytest.fixture(autouse=True, scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Airflow reads its settings once, when it is imported: so they stand before any test."""
    needs(importlib.util.find_spec("airflow"), "Airflow: run scripts/test-airflow")
    home = tmp_path_factory.mktemp("airflow")
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "socket.gethostname",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "INGEST_EXAMPLE_HOME": str(home / "example"),
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    yield home
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
