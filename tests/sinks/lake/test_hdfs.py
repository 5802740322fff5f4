"""Lake tables on a real HDFS, by both of its protocols: what the clients get wrong, and what the cluster refuses."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from crash.program import finish
from hadoop import Cluster, hadoop
from lake import Lake, ParquetContract, delivery, numbers

from ingest.connectors.testing import Crash
from ingest.environment import Environment
from ingest.errors import ConnectorError, OutputDamaged, Retriable, SinkFenced, StorageFailed, SystemUnavailable
from ingest.sinks.lake import hdfs_rpc, hdfs_web
from ingest.sinks.lake.reading import open_dataset
from ingest.sinks.lake.store import Store
from ingest.sinks.lake.target import open_store
from ingest.sinks.lake.task import LakeTask
from ingest.sinks.parquet.connector import ParquetSink
from ingest.sinks.parquet.settings import ParquetSettings

pytestmark = [pytest.mark.slow, pytest.mark.java]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with hadoop(tmp_path_factory.mktemp("hadoop")) as found:
        yield found


@pytest.fixture(params=["hdfs", "webhdfs"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def _as_superuser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HADOOP_USER_NAME", "root")


@pytest.fixture
def lake(tmp_path: Path, cluster: Cluster, scheme: str) -> Lake:
    return Lake(tmp_path, {"url": f"{cluster.url(scheme)}{tmp_path}/lake"})


@pytest.fixture
def store(lake: Lake) -> Store:
    return store_of(lake)


def store_of(lake: Lake) -> Store:
    return open_store(lake.settings["url"], lake.folder, Environment())


def ids(lake: Lake) -> list[int]:
    """The ``id`` of each row, as who lists the folder sees them."""
    store = store_of(lake)
    files = [pq.read_table(io.BytesIO(store.read(path) or b"")) for path in store.data_files()]
    return sorted(number for file in files for number in file["id"].to_pylist())


def die_at(lake: Lake, point: str, epoch: int, start: int) -> None:
    def crash() -> None:
        raise Crash

    task = lake.open(epoch=epoch)
    lake.fail.arm(point, crash)
    with pytest.raises(Crash):
        lake.write(task, start, numbers(start, start + 10))


def reopened(lake: Lake, epoch: int) -> LakeTask:
    """As the engine does: again, after an error that may be gone later. A cluster that is back up needs a moment."""
    for _ in range(20):
        try:
            return lake.open(epoch=epoch)
        except SystemUnavailable:
            threading.Event().wait(0.5)
    return lake.open(epoch=epoch)


class TestHdfs(ParquetContract):
    @pytest.fixture(autouse=True)
    def _lake(self, lake: Lake) -> None:
        self.lake = lake

    def sink(self, folder: Path) -> ParquetSink:
        return ParquetSink(ParquetSettings(url=f"{self.lake.settings['url']}/{folder.name}", partition_by=["digit"]))

    def rows(self, folder: Path) -> Sequence[str]:
        store = open_store(f"{self.lake.settings['url']}/{folder.name}", folder, Environment())
        files = [pq.read_table(io.BytesIO(store.read(path) or b"")) for path in store.data_files()]
        return [row for file in files for row in file["row"].to_pylist()]

    # each point, and each pair of points, would take minutes here: processes that are killed at each of them, one
    # after the other on one table, cover it (tests/crash)
    test_a_crash_at_each_fail_point_loses_and_doubles_nothing = None  # type: ignore[assignment]
    test_a_crash_while_recovering_from_a_crash_loses_and_doubles_nothing = None  # type: ignore[assignment]


def test_hadoops_own_shell_reads_the_bytes_that_were_written(lake: Lake, store: Store, cluster: Cluster) -> None:
    lake.write(lake.open(), 0, numbers(0, 1000))
    (path,) = store.data_files()
    seen = cluster.shell("-cat", f"{lake.folder}/lake/{path}")
    assert seen == store.read(path)
    assert pq.read_table(io.BytesIO(seen))["id"].to_pylist() == list(range(1000))


def test_text_files_hold_the_source_line_by_line_for_hadoops_shell_and_duckdb(
    lake: Lake, cluster: Cluster, tmp_path: Path
) -> None:
    lines = [f"line {number} {'é☃'[number % 2]}{'x' * (number % 50)}" for number in range(20_000)]
    (tmp_path / "in.log").write_text("\n".join(lines) + "\n")
    (tmp_path / "pipeline.yaml").write_text(f"""\
name: text
hub: ./hub
topics: {{log: {{format: lines}}}}
sources: [{{name: log, type: file, paths: [in.log], topic: log}}]
sinks: [{{name: text, type: files, format: lines, topics: [log], url: '{lake.settings["url"]}', roll: {{rows: 6000}}}}]
""")
    finish(tmp_path / "pipeline.yaml")
    assert cluster.shell("-cat", f"{lake.folder}/lake/text~*").decode().splitlines() == lines
    cluster.shell("-get", f"{lake.folder}/lake", str(tmp_path / "fetched"))
    options = "header=false, delim='\\x01', quote='', escape='', columns={'line': 'VARCHAR'}"
    query = f"FROM read_csv('{tmp_path}/fetched/*.txt', {options})"
    assert sorted(line for (line,) in duckdb.sql(query).fetchall()) == sorted(lines)


def test_a_name_is_given_once(store: Store) -> None:
    assert store.put_if_absent("_ingest/a/0/1.json", b"first", "writer-1")
    assert not store.put_if_absent("_ingest/a/0/1.json", b"second", "writer-2")
    assert store.read("_ingest/a/0/1.json") == b"first"
    assert store.names("_ingest/a") == ["0"]


def test_who_comes_second_in_the_middle_of_the_first_ones_put_is_told(
    store: Store, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither client tells a failed rename as it should; the content that stands there does."""
    other = store_of(lake)
    rename = store._client.rename

    def late(source: str, target: str) -> None:
        assert other.put_if_absent("_ingest/a/0/1.json", b"other", "writer-2")
        rename(source, target)

    monkeypatch.setattr(store._client, "rename", late)
    assert not store.put_if_absent("_ingest/a/0/1.json", b"mine", "writer-1")
    assert store.read("_ingest/a/0/1.json") == b"other"
    assert store.names("_ingest/a") == ["0"]


def test_a_rename_whose_answer_was_lost_is_found_to_have_happened(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = store._client.rename

    def cut(source: str, target: str) -> None:
        rename(source, target)
        raise SystemUnavailable("the connection was cut")

    monkeypatch.setattr(store._client, "rename", cut)
    assert store.put_if_absent("_ingest/a/0/1.json", b"mine", "writer-1")
    draft = store.draft("x.parquet", "writer-1")
    draft.write(b"content")
    stored = draft.finish()
    store.settle([stored])
    store.publish(stored)
    store.publish(stored)
    assert list(store.data_files()) == ["x.parquet"]


def test_publishing_never_replaces_another_file(store: Store) -> None:
    for content in (b"old", b"newer"):
        draft = store.draft("x.parquet", f"writer-{len(content)}")
        draft.write(content)
        stored = draft.finish()
        store.settle([stored])
        if content == b"old":
            store.publish(stored)
    with pytest.raises(OutputDamaged, match="3 bytes"):
        store.publish(stored)
    assert store.read("x.parquet") == b"old"


def test_a_file_is_hidden_more_than_once(store: Store) -> None:
    for content in (b"old", b"newer"):
        draft = store.draft("x.parquet", "writer")
        draft.write(content)
        stored = draft.finish()
        store.settle([stored])
        store.publish(stored)
        store.hide("x.parquet")
        store.hide("x.parquet")
    assert list(store.data_files()) == []
    assert store.read(".x.parquet.old") == b"newer"


def test_the_datanode_syncs_what_is_settled(store: Store, cluster: Cluster) -> None:
    before = cluster.syncs()
    draft = store.draft("x.parquet", "writer")
    draft.write(b"content")
    store.settle([draft.finish()])
    assert cluster.syncs_reach(before + 1)


def test_a_large_file_is_streamed_in_pieces(store: Store, cluster: Cluster, lake: Lake) -> None:
    piece = os.urandom(1_000_003)
    draft = store.draft("x.parquet", "writer")
    for _ in range(40):
        draft.write(piece)
    stored = draft.finish()
    store.settle([stored])
    store.publish(stored)
    assert stored.size_bytes == store.size_bytes("x.parquet") == 40 * len(piece)
    assert store.read("x.parquet") == 40 * piece


def test_a_file_without_a_byte_is_a_file(store: Store) -> None:
    draft = store.draft("x.parquet", "writer")
    stored = draft.finish()
    store.settle([stored])
    store.publish(stored)
    assert store.size_bytes("x.parquet") == 0


@pytest.mark.parametrize("value", ["a;b#c?d=e/f%20 g", "Zoë ☃", "..", "", "*[x]{y}"])
def test_any_value_can_name_a_folder(lake: Lake, value: str) -> None:
    task = lake.open(partition_by=["part"])
    lake.write(task, 0, [{"id": number, "part": value} for number in range(3)])
    assert ids(lake) == [0, 1, 2]
    rows = open_dataset(lake.settings["url"], lake.folder, {}).to_table().to_pylist()
    assert [row["part"] for row in rows] == [value] * 3


def test_who_may_not_write_is_told_where_and_who(lake: Lake, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    store_of(lake)._client.make_folders(f"{lake.folder}/lake")
    monkeypatch.setenv("HADOOP_USER_NAME", "mallory")
    with pytest.raises(ConnectorError) as caught:
        lake.open()
    assert not isinstance(caught.value, Retriable)
    assert "user=mallory" in str(caught.value)
    assert f"{lake.folder}/lake" in str(caught.value)
    assert "HADOOP_USER_NAME" in str(caught.value.hint)


def test_a_file_where_a_folder_should_be_stops_the_sink(lake: Lake, store: Store) -> None:
    store.put_if_absent("_ingest/x/in-the-way", b"a file", "writer")
    lake.settings["url"] += "/_ingest/x/in-the-way"
    with pytest.raises(ConnectorError) as caught:
        lake.open()
    assert not isinstance(caught.value, Retriable)


def test_a_full_quota_publishes_nothing_and_is_got_over(lake: Lake, cluster: Cluster) -> None:
    lake.write(lake.open(), 0, numbers(0, 10))
    cluster.admin("-setSpaceQuota", "1m", f"{lake.folder}/lake")
    try:
        task = lake.open(epoch=2, compression="none")
    except StorageFailed:  # a block is counted as whole while it is written: even a manifest may be too much
        task = None
    if task is not None:
        with pytest.raises(StorageFailed, match="quota"):
            lake.write(task, 10, pa.array([{"id": number, "text": os.urandom(500).hex()} for number in range(4000)]))
        task.close()
    assert ids(lake) == list(range(10))
    cluster.admin("-clrSpaceQuota", f"{lake.folder}/lake")
    lake.write(lake.open(epoch=3), 10, numbers(10, 20))
    assert ids(lake) == list(range(20))


def test_in_safe_mode_it_waits(lake: Lake, cluster: Cluster) -> None:
    task = lake.open()
    lake.write(task, 0, numbers(0, 10))
    cluster.admin("-safemode", "enter")
    try:
        with pytest.raises(SystemUnavailable, match="safe mode"):
            lake.write(task, 10, numbers(10, 20))
        task.close()
        with pytest.raises(SystemUnavailable, match="safe mode"):
            lake.open(epoch=2)
    finally:
        cluster.admin("-safemode", "leave")
    assert ids(lake) == list(range(10))
    lake.write(lake.open(epoch=3), 10, numbers(10, 20))
    assert ids(lake) == list(range(20))


def test_the_datanode_is_killed_while_a_file_is_written(lake: Lake, store: Store, cluster: Cluster) -> None:
    lake.write(lake.open(), 0, numbers(0, 10))
    draft = store.draft("x.parquet", "writer")
    draft.write(os.urandom(100_000))
    task = lake.open(epoch=2)
    task.put(delivery(10, numbers(10, 20)))
    cluster.kill("datanode")
    try:
        with pytest.raises(SystemUnavailable):
            for _ in range(100):
                draft.write(os.urandom(1_000_000))
            store.settle([draft.finish()])
        draft.discard()
        with pytest.raises(SystemUnavailable):
            task.flush(force=True)
        task.close()
    finally:
        cluster.start("datanode")
    lake.write(reopened(lake, 3), 10, numbers(10, 20))
    assert ids(lake) == list(range(20))
    assert store.strays("site~lake") == []


def test_the_namenode_is_killed_between_the_manifest_and_the_rename(lake: Lake, cluster: Cluster) -> None:
    die_at(lake, "lake.manifest.put", 1, 0)
    cluster.kill("namenode")
    cluster.start("namenode")
    task = reopened(lake, 2)
    assert ids(lake) == list(range(10))
    cluster.kill("namenode")
    cluster.start("namenode")
    task.close()
    lake.write(reopened(lake, 3), 10, numbers(10, 20))
    assert ids(lake) == list(range(20))


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_a_namenode_that_is_away_is_an_error_in_good_time(
    lake: Lake, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    task = lake.open()
    lake.write(task, 0, numbers(0, 10))
    monkeypatch.setattr(hdfs_rpc, "ANSWER_S", 2)
    monkeypatch.setattr(hdfs_web, "ANSWER_S", 2)
    cluster.kill("namenode") if how == "killed" else cluster.pause("namenode")
    try:
        with pytest.raises(SystemUnavailable, match=r"hdfs://127.0.0.1"):
            lake.write(task, 10, numbers(10, 20))
        task.close()
        with pytest.raises(SystemUnavailable):
            lake.open(epoch=2)
    finally:
        cluster.start("namenode") if how == "killed" else cluster.resume("namenode")
    cluster.wait_until_ready()
    lake.write(reopened(lake, 3), 10, numbers(10, 20))
    assert ids(lake) == list(range(20))


OPEN_FILE = """
import sys
from pathlib import Path
from ingest.environment import Environment
from ingest.sinks.lake.task import LakeTask
from ingest.sinks.lake.target import open_store
store = open_store(sys.argv[1], Path(), Environment())
draft = store.draft("site~lake~events~0~000000000001~00001.parquet", "1-dead")
draft.write(b"x" * 3_000_000)
print("open", flush=True)
sys.stdin.read()
"""


def test_a_file_that_a_killed_writer_had_open_goes_with_its_lease(lake: Lake, store: Store, cluster: Cluster) -> None:
    url = lake.settings["url"]
    writer = subprocess.Popen(
        [sys.executable, "-c", OPEN_FILE, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdin is not None
    assert writer.stdout.readline() == "open\n"
    writer.kill()
    writer.communicate()
    assert len(store.strays("site~lake")) == 1
    lake.write(lake.open(), 0, numbers(0, 10))
    assert store.strays("site~lake") == []
    assert ids(lake) == list(range(10))
    report = cluster.check(str(lake.folder), "-files", "-openforwrite").decode()
    assert "OPENFORWRITE" not in report
    assert "HEALTHY" in report


def test_a_writer_whose_file_was_taken_away_is_fenced(lake: Lake) -> None:
    """As a process that hung for minutes: its successor has removed what it was writing."""
    zombie = lake.open(compression="none", memory=1024 * 1024)
    value = pa.array([{"id": number, "text": os.urandom(500).hex()} for number in range(3000)])
    zombie.put(delivery(0, value))
    successor = lake.open(epoch=2)
    with pytest.raises((SystemUnavailable, SinkFenced)):
        zombie.flush(force=True)
    zombie.close()
    lake.write(successor, 0, numbers(0, 10))
    assert ids(lake) == list(range(10))
    with pytest.raises(SinkFenced):
        lake.open(epoch=1)
