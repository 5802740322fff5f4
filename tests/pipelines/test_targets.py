"""URIs of what a pipeline writes to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ingest.pipelines.loader import Pipeline, load_mapping
from ingest.pipelines.targets import target_of, topic_of


def pipeline(folder: Path, **sink: Any) -> Pipeline:
    sinks = [{"name": "out", "topics": ["t"], **sink}]
    return load_mapping({"name": "p", "hub": "./data", "sinks": sinks}, folder)


def test_a_relative_folder_is_made_absolute(tmp_path: Path) -> None:
    target = target_of(pipeline(tmp_path, type="parquet", url="./lake/a b"), "out")
    assert (target.uri, target.namespace) == (f"file://{tmp_path}/lake/a%20b", "file")
    assert target.name == str(tmp_path / "lake" / "a b")


@pytest.mark.parametrize("url", ["file:///srv/lake", "/srv/lake"])
def test_a_file_is_known_by_one_uri_however_it_is_written(tmp_path: Path, url: str) -> None:
    assert target_of(pipeline(tmp_path, type="parquet", url=url), "out").uri == "file:///srv/lake"


def test_a_bucket_is_a_namespace(tmp_path: Path) -> None:
    target = target_of(pipeline(tmp_path, type="parquet", url="s3://bucket/lake/orders/"), "out")
    assert (target.uri, target.namespace, target.name) == ("s3://bucket/lake/orders", "s3://bucket", "lake/orders")


def test_no_password_is_shown(tmp_path: Path) -> None:
    url = "s3://me:secret@bucket/lake?key=secret"
    assert "secret" not in str(target_of(pipeline(tmp_path, type="parquet", url=url), "out"))


def test_a_sink_without_an_url_is_known_by_its_names(tmp_path: Path) -> None:
    assert target_of(pipeline(tmp_path, type="console"), "out").uri == "ingest://p/out"


def test_a_topic_is_known_by_its_hub(tmp_path: Path) -> None:
    made = pipeline(tmp_path, type="console")
    assert topic_of(made, "t").namespace == f"ingest://{tmp_path}/data"
