"""A pipeline starts without pandas, and a function that brings it is understood all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pandas")

WITHOUT = """
import os, sys
from ingest.cli.arrow_start import start_arrow
start_arrow()
import pyarrow as pa
pa.array([1, 2])
assert "pandas" not in sys.modules
assert pa.default_memory_pool().backend_name == "system"
assert "OPENBLAS_NUM_THREADS" not in os.environ
"""

FUNCTION = """
def halves(batch):
    import pandas as pd
    return {"half": pd.Series([None if n == 2 else n / 2 for n in batch.column("n").to_pylist()])}
"""

WITH = """
import sys
from ingest.cli.arrow_start import start_arrow
start_arrow()
import pyarrow as pa
from ingest.connectors import Records
from ingest.transforms.python import Python
batch = Records(value=pa.array([{"n": 1}, {"n": 2}]))
assert "pandas" not in sys.modules
made = Python(Python.Settings(function=sys.argv[1])).apply(batch, {})
assert "pandas" in sys.modules
print(made.records[0].columns().column("half").to_pylist())
"""


PIPELINE = """
import sys
from ingest.cli.main import main
assert main(["run", sys.argv[1], "--until-caught-up", "--quiet"]) == 0
assert "pandas" not in sys.modules
"""

ACCESS_LOG = """\
name: logs
hub: ./hub
sources:
  - {name: log, type: file, paths: [access.log], topic: access, transforms: [{type: parse, format: combined}]}
sinks:
  - {name: lake, type: parquet, topics: [access], url: ./lake}
"""
LINE = '127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326 "-" "-"\n'


def run(program: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_arrow_starts_without_pandas_and_returns_what_it_does_not_use() -> None:
    run(WITHOUT)


def test_pipeline_that_parses_runs_without_pandas(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text(LINE * 100)
    (tmp_path / "pipeline.yaml").write_text(ACCESS_LOG)
    run(PIPELINE, f"{tmp_path}/pipeline.yaml")


def test_a_function_may_import_pandas_later_and_its_missing_numbers_are_nulls(tmp_path: Path) -> None:
    (tmp_path / "halves.py").write_text(FUNCTION)
    assert run(WITH, f"{tmp_path}/halves.py:halves").strip() == "[0.5, None]"
