"""The process dies at each step of its commits to HDFS and S3, and at random; every line is there exactly once.

What is audited was fetched by others: Hadoop's own shell, DuckDB.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
import s3fs
from crash.audit import assert_exactly_once
from crash.program import finish, start
from crash.site import Site, live
from hadoop import hadoop
from lake import FAIL_POINTS
from s3_server import BUCKET, s3_server

pytestmark = [pytest.mark.slow]

ONCE_A_RUN = ("lake.opened", "lake.strays.removed")

Place = tuple[str, dict[str, Any], Callable[[Path], None]]
"""A table's URL, its storage options, and what copies it into a folder."""


@contextmanager
def on_hadoop(folder: Path, scheme: str) -> Iterator[Place]:
    with hadoop(folder / "hadoop") as cluster:
        yield f"{cluster.url(scheme)}/lake", {}, lambda target: void(cluster.shell("-get", "/lake", str(target)))


@contextmanager
def on_s3() -> Iterator[Place]:
    with s3_server() as options:
        s3 = s3fs.S3FileSystem(**options, use_listings_cache=False)
        yield (
            f"s3://{BUCKET}/lake",
            options,
            lambda target: void(s3.get(f"{BUCKET}/lake/", str(target), recursive=True)),
        )


def void(_: object) -> None: ...


@pytest.fixture(params=["hdfs", "webhdfs", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "hadoop").mkdir()
    with on_s3() if request.param == "s3" else on_hadoop(tmp_path, str(request.param)) as found:
        yield found


@pytest.fixture
def site(tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("HADOOP_USER_NAME", "root")
    url, options, _ = place
    site = Site(tmp_path / "site", random.Random(20261123), max_batch="16KiB", roll_rows=200)
    text = site.pipeline.read_text()
    assert "url: ./lake\n" in text
    elsewhere = f"url: {url}\n    storage_options: {json.dumps(options)}\n"
    site.pipeline.write_text(text.replace("url: ./lake\n", elsewhere))
    return site


def test_every_line_is_there_once_after_a_death_at_each_step_and_at_random(site: Site, place: Place) -> None:
    dice = random.Random(7)
    died: Counter[str] = Counter()
    for point in FAIL_POINTS:
        site.write(300)
        hit = 1 if point in ONCE_A_RUN else dice.choice([1, 2])
        process = start(site.pipeline, "--until-caught-up", INGEST_FAILPOINTS=f"{point}*{hit}")
        died[point] += process.wait(60) == -9
        site.rotate()
    for _ in range(2):
        process = start(site.pipeline)
        live(site, process, dice)
        process.kill()
        process.wait()
    finish(site.pipeline)
    assert [point for point in FAIL_POINTS if not died[point]] == []
    fetched = site.folder / "fetched"
    place[2](fetched)
    fetched.rename(site.lake)
    assert_exactly_once(site)
    found = duckdb.sql(f"SELECT id FROM read_parquet('{site.lake}/**/*.parquet')").fetchall()
    assert Counter(row[0] for row in found) == site.good
    assert [path.name for path in site.lake.rglob("*.tmp")] == []
