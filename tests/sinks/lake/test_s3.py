"""The sink on S3: uploads are completed at publication, manifests are put if absent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import s3fs
from lake import Lake, ParquetContract, delivery, numbers
from s3_server import BUCKET, s3_server

from ingest.connectors.testing import Crash
from ingest.errors import ConnectorError, OutputDamaged, SystemUnavailable
from ingest.sinks.lake.reading import check_table, open_dataset
from ingest.sinks.lake.task import LakeTask
from ingest.sinks.parquet.connector import ParquetSink
from ingest.sinks.parquet.settings import ParquetSettings


@pytest.fixture(scope="module")
def options() -> Iterator[dict[str, Any]]:
    with s3_server() as found:
        yield found


class TestS3(ParquetContract):
    @pytest.fixture(autouse=True)
    def _server(self, options: dict[str, Any]) -> None:
        self.options = options

    def sink(self, folder: Path) -> ParquetSink:
        url = f"s3://{BUCKET}{folder}/lake"
        return ParquetSink(ParquetSettings(url=url, partition_by=["digit"], storage_options=self.options))

    def rows(self, folder: Path) -> Sequence[str]:
        s3 = s3fs.S3FileSystem(**self.options)
        s3.invalidate_cache()
        files = [file for file in s3.find(f"{BUCKET}{folder}/lake") if file.endswith(".parquet")]
        return [row for file in files for row in pq.ParquetFile(s3.open(file)).read()["row"].to_pylist()]

    @pytest.mark.slow
    def test_a_crash_while_recovering_from_a_crash_loses_and_doubles_nothing(self, tmp_path: Path) -> None:
        super().test_a_crash_while_recovering_from_a_crash_loses_and_doubles_nothing(tmp_path)


@pytest.fixture
def lake(tmp_path: Path, options: dict[str, Any]) -> Lake:
    return Lake(tmp_path, {"url": f"s3://{BUCKET}{tmp_path}/lake", "storage_options": options})


@pytest.fixture
def s3(options: dict[str, Any]) -> Any:
    return s3fs.S3FileSystem(**options, use_listings_cache=False)


def uploads(s3: Any, lake: Lake) -> list[dict[str, Any]]:
    prefix = f"{lake.folder}/lake/".lstrip("/")
    return list(s3.call_s3("list_multipart_uploads", Bucket=BUCKET, Prefix=prefix).get("Uploads", []))


def objects(s3: Any, lake: Lake) -> list[str]:
    return [path for path in s3.find(f"{BUCKET}{lake.folder}/lake") if path.endswith(".parquet")]


def die_at(lake: Lake, point: str, task: LakeTask, start: int) -> None:
    def crash() -> None:
        raise Crash

    lake.fail.arm(point, crash)
    with pytest.raises(Crash):
        lake.write(task, start, numbers(start, start + 10))


def test_a_large_file_goes_in_parts_and_appears_when_it_is_published(lake: Lake, s3: Any) -> None:
    task = lake.open(compression="none", roll={"rows": 10_000_000})
    x = np.random.default_rng(1).random(2_000_000)
    value = pa.StructArray.from_arrays([pa.array(x), pa.array(np.arange(len(x)))], ["x", "id"])
    task.put(delivery(0, value.slice(0, 1_500_000)))
    assert objects(s3, lake) == []
    assert uploads(s3, lake) != []
    task.put(delivery(1_500_000, value.slice(1_500_000)))
    assert task.flush(force=True)
    assert uploads(s3, lake) == []
    (path,) = objects(s3, lake)
    assert pq.read_table(s3.open(path))["x"].to_pylist() == x.tolist()
    assert (
        check_table(task._settings.url, lake.folder, repair=False, storage_options=task._settings.storage_options) == []
    )


def test_uploads_without_a_manifest_are_aborted_and_those_of_others_are_not(lake: Lake, s3: Any) -> None:
    die_at(lake, "lake.manifest.before", lake.open(), 0)
    die_at(lake, "lake.manifest.before", lake.open(pipeline="other"), 0)
    assert len(uploads(s3, lake)) == 2
    lake.open(epoch=2).close()
    (left,) = uploads(s3, lake)
    assert left["Key"].rpartition("/")[2].startswith("other~")
    lake.open(pipeline="other", epoch=2).close()
    assert uploads(s3, lake) == []


def test_a_completion_whose_answer_was_lost_is_found_to_have_happened(lake: Lake, s3: Any) -> None:
    task = lake.open()
    store, real = task._store, task._store.call

    def call(method: str, path: str, **arguments: Any) -> Any:
        answer = real(method, path, **arguments)
        if method in ("complete_multipart_upload", "put_object"):
            raise SystemUnavailable("the connection was cut")
        return answer

    store.call = call
    assert lake.write(task, 0, numbers(0, 10)).number == 1
    assert len(objects(s3, lake)) == 1


def test_an_upload_that_someone_aborted_after_the_commit_stops_the_sink(lake: Lake, s3: Any) -> None:
    die_at(lake, "lake.manifest.put", lake.open(), 0)
    (item,) = uploads(s3, lake)
    s3.call_s3("abort_multipart_upload", Bucket=BUCKET, Key=item["Key"], UploadId=item["UploadId"])
    with pytest.raises(OutputDamaged):
        lake.open(epoch=2)


def test_a_bucket_that_is_not_there_is_an_error_with_a_hint(tmp_path: Path, options: dict[str, Any]) -> None:
    lake = Lake(tmp_path, {"url": "s3://no-such-bucket/lake", "storage_options": options})
    with pytest.raises(ConnectorError, match="no-such-bucket") as caught:
        lake.write(lake.open(), 0, numbers(0, 1))
    assert not isinstance(caught.value, SystemUnavailable)
    with pytest.raises(ConnectorError):
        ParquetSink(ParquetSettings(**lake.settings)).check(tmp_path)


def test_a_server_that_does_not_answer_is_tried_again_later(tmp_path: Path, options: dict[str, Any]) -> None:
    closed = options | {"endpoint_url": "http://127.0.0.1:9", "config_kwargs": {"retries": {"max_attempts": 0}}}
    lake = Lake(tmp_path, {"url": f"s3://{BUCKET}/x", "storage_options": closed})
    with pytest.raises(SystemUnavailable, match="s3://"):
        lake.open()


def test_sql_reads_a_table_on_s3(lake: Lake) -> None:
    task = lake.open(partition_by=["part"])
    lake.write(task, 0, [{"id": number, "part": f"p {number % 2}"} for number in range(10)])
    dataset = open_dataset(task._settings.url, lake.folder, task._settings.storage_options)
    assert dataset.to_table(filter=ds.field("part") == "p 1").num_rows == 5
