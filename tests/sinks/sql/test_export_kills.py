"""``ingest export``, killed at each step and at random: repeated, it goes on, and the table holds the rows once."""

from __future__ import annotations

import os
import random
import subprocess
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from crash.program import INGEST
from sql_targets import Target

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROWS = 5_000
POINTS = {
    "direct": ("source.appended", "source.committed", "sql.opened", "sql.written", "sql.committed", "sink.reported"),
    "staged": ("sql.written", "sql.moved", "sql.finished"),
}
PATIENCE_S = 120


class Export:
    """A folder of files, and the command that brings them into the table ``target``."""

    def __init__(self, folder: Path, target: Target, load: str) -> None:
        self._folder = folder
        self._command = [*INGEST, "export", "--connect", target.url, "--table", "target", "--export-dir", "in"]
        self._command += ["--data", "hub", "--wait", "10"]
        if load == "staged":
            self._command += ["--staging-table", "target_waits"]
        (folder / "in").mkdir()
        self.rows = 0

    def one_more_file(self) -> None:
        """Whole at once."""
        numbers = range(self.rows, self.rows + ROWS)
        table = pa.table({"id": numbers, "word": [f"w{number}" for number in numbers]})
        draft = self._folder / "in" / "_draft"
        pq.write_table(table, draft, row_group_size=500)
        draft.rename(self._folder / "in" / f"{self.rows:06}.parquet")
        self.rows += ROWS

    def started(self, **environment: str) -> subprocess.Popen[bytes]:
        with (self._folder / "said.txt").open("a") as said:
            return subprocess.Popen(
                self._command, cwd=self._folder, stdout=said, stderr=said, env={**os.environ, **environment}
            )

    def said(self) -> str:
        return (self._folder / "said.txt").read_text()[-4000:]


@pytest.mark.parametrize("load", POINTS)
def test_the_repeated_command_goes_on_and_each_row_is_there_once(target: Target, tmp_path: Path, load: str) -> None:
    if load == "staged" and target.kind != "postgres":
        pytest.skip("the same code for each database: one is enough")
    target.execute("CREATE TABLE target (id integer, word varchar(40))")
    export, dice = Export(tmp_path, target, load), random.Random(load)
    for point in POINTS[load]:
        export.one_more_file()
        assert export.started(INGEST_FAILPOINTS=point).wait(PATIENCE_S) == -9, (point, export.said())
    for _ in range(3):
        export.one_more_file()
        process = export.started()
        with suppress(subprocess.TimeoutExpired):
            process.wait(dice.uniform(0.8, 2.5))
        process.kill()
        assert process.wait() in (0, -9), export.said()
    assert export.started().wait(PATIENCE_S) == 0, export.said()
    rows = target.execute("SELECT id, word FROM target ORDER BY id")
    assert [tuple(row) for row in rows] == [(number, f"w{number}") for number in range(export.rows)]
