"""Objects on a real HDFS, by both of its protocols."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hadoop import Cluster, hadoop
from landing import Landing

pytestmark = [pytest.mark.slow, pytest.mark.java]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with hadoop(tmp_path_factory.mktemp("hadoop")) as found:
        yield found


def parquet(rows: int) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"n": range(rows)}), sink, row_group_size=100)
    return sink.getvalue()


@pytest.mark.parametrize("scheme", ["hdfs", "webhdfs"])
def test_objects_are_read_once_and_put_away(
    scheme: str, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HADOOP_USER_NAME", "root")
    options = {"user": "root"} if scheme == "webhdfs" else {}
    landing = Landing(
        tmp_path,
        url=f"{cluster.url(scheme)}/{scheme}/landing",
        batch_bytes=1000,
        after="move",
        move_to="done",
        order="name",
        storage_options=options,
        min_age=0,
    )
    here = tmp_path / "exports" / "day=1"
    here.mkdir(parents=True)
    (here / "a.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(500)))
    (here / "b.jsonl.gz").write_bytes(gzip.compress(b'{"n": 1}\n{"n": 2}\n'))
    (here / "c.parquet").write_bytes(parquet(300))
    cluster.shell("-mkdir", "-p", f"/{scheme}")
    cluster.shell("-put", str(tmp_path / "exports"), f"/{scheme}/landing")
    cluster.shell("-touchz", f"/{scheme}/landing/_SUCCESS")
    expected = [{"n": str(n)} for n in range(500)] + [{"n": 1}, {"n": 2}] + [{"n": n} for n in range(300)]
    for _ in range(5):
        landing.poll()
        landing.stop()
    assert landing.settle() == expected
    assert not landing.dead
    listed = cluster.shell("-ls", "-R", f"/{scheme}").decode()
    assert listed.count("/done/day=1/") == 3
    assert listed.count("/landing/day=1/") == 0
