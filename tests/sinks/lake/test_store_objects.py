"""Google Cloud Storage and Azure Blob Storage, on emulators that somebody has started:

    fake-gcs-server -scheme http -host 127.0.0.1 -port 4443 -backend memory -external-url http://127.0.0.1:4443
    azurite-blob --inMemoryPersistence --skipApiVersionCheck
    INGEST_TEST_GCS=http://127.0.0.1:4443 INGEST_TEST_AZURE=http://127.0.0.1:10000 \\
        GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT=false pytest tests/sinks/lake/test_store_objects.py
"""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.parquet as pq
import pytest
from lake import Lake, ParquetContract, numbers

from ingest.environment import Environment
from ingest.errors import SystemUnavailable
from ingest.sinks.lake.reading import open_dataset
from ingest.sinks.lake.store import Store
from ingest.sinks.lake.target import open_store
from ingest.sinks.parquet.connector import ParquetSink
from ingest.sinks.parquet.settings import ParquetSettings

pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # of gcsfs

_AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""That of every emulator, as its documentation prints it."""

_ENDPOINTS = {"gs": os.environ.get("INGEST_TEST_GCS"), "az": os.environ.get("INGEST_TEST_AZURE")}
if not any(_ENDPOINTS.values()):
    pytest.skip("no emulator of GCS or Azure: see this file's head", allow_module_level=True)


@pytest.fixture(params=[scheme for scheme, endpoint in _ENDPOINTS.items() if endpoint])
def place(request: pytest.FixtureRequest) -> dict[str, Any]:
    """``url`` and ``storage_options`` of an empty bucket."""
    endpoint = _ENDPOINTS[request.param]
    options: dict[str, Any] = {"endpoint_url": endpoint, "token": "anon"}
    if request.param == "az":
        account = f"AccountName=devstoreaccount1;AccountKey={_AZURE_KEY}"
        options = {"connection_string": f"{account};BlobEndpoint={endpoint}/devstoreaccount1;"}
    bucket = f"lake-{uuid.uuid4().hex}"
    fsspec.filesystem(request.param, **options).mkdir(bucket)
    return {"url": f"{request.param}://{bucket}/lake", "storage_options": options}


@pytest.fixture
def lake(tmp_path: Path, place: dict[str, Any]) -> Lake:
    return Lake(tmp_path, place)


@pytest.fixture
def store(lake: Lake) -> Store:
    options = lake.settings["storage_options"]
    return open_store(lake.settings["url"], lake.folder, Environment(), storage_options=options)


class TestObjects(ParquetContract):
    @pytest.fixture(autouse=True)
    def _place(self, place: dict[str, Any]) -> None:
        self.place = place

    def sink(self, folder: Path) -> ParquetSink:
        place = self.place | {"url": f"{self.place['url']}{folder}"}
        return ParquetSink(ParquetSettings(partition_by=["digit"], **place))

    def rows(self, folder: Path) -> Sequence[str]:
        url = f"{self.place['url']}{folder}"
        store = open_store(url, folder, Environment(), storage_options=self.place["storage_options"])
        files = [pq.read_table(io.BytesIO(store.read(path) or b"")) for path in store.data_files()]
        return [row for file in files for row in file["row"].to_pylist()]


def test_a_name_is_given_once(store: Store) -> None:
    assert store.put_if_absent("_ingest/a/0/1.json", b"first", "writer-1")
    assert not store.put_if_absent("_ingest/a/0/1.json", b"second", "writer-2")
    assert store.read("_ingest/a/0/1.json") == b"first"


def test_a_put_whose_answer_was_lost_is_found_to_have_happened(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put = store._filesystem.pipe_file

    def cut(path: str, content: bytes, mode: str) -> None:
        put(path, content, mode=mode)
        raise ConnectionResetError

    monkeypatch.setattr(store._filesystem, "pipe_file", cut)
    assert store.put_if_absent("_ingest/a/0/1.json", b"mine", "writer-1")


def test_a_put_that_did_not_land_is_tried_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(path: str, content: bytes, mode: str) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(store._filesystem, "pipe_file", cut)
    with pytest.raises(SystemUnavailable):
        store.put_if_absent("_ingest/a/0/1.json", b"mine", "writer-1")


def test_a_large_file_is_read_back(store: Store) -> None:
    piece = os.urandom(1_000_003)
    draft = store.draft("x.parquet", "writer")
    for _ in range(20):
        draft.write(piece)
    stored = draft.finish()
    store.settle([stored])
    store.publish(stored)
    assert store.read("x.parquet") == 20 * piece


def test_sql_reads_the_table(lake: Lake) -> None:
    task = lake.open(partition_by=["part"])
    lake.write(task, 0, [{"id": number, "part": f"p {number % 2}"} for number in range(10)])
    lake.write(task, 10, numbers(10, 20, part="q"))
    dataset = open_dataset(lake.settings["url"], lake.folder, lake.settings["storage_options"])
    assert sorted(dataset.to_table()["id"].to_pylist()) == list(range(20))
