"""What a pipeline writes to, as URIs that other systems know data by. Without passwords."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ingest.pipelines.loader import Pipeline


@dataclass(frozen=True, slots=True)
class Target:
    """``namespace`` and ``name`` are OpenLineage's: ``s3://bucket`` and ``lake/orders``, ``file`` and a path."""

    uri: str
    namespace: str
    name: str


def target_of(pipeline: Pipeline, sink: str) -> Target:
    """A sink's ``url``, made absolute; a sink that has none is known by its pipeline and its name."""
    spec: dict[str, Any] = next((spec for spec in pipeline.spec.sinks if spec.get("name") == sink), {})
    url = spec.get("url")
    if not isinstance(url, str) or not url:
        name = f"{pipeline.plan.pipeline}/{sink}"
        return Target(f"ingest://{name}", f"ingest://{pipeline.plan.pipeline}", sink)
    return _located(url, pipeline.plan.base_folder, spec.get("table"))


def topic_of(pipeline: Pipeline, topic: str) -> Target:
    """A topic of the pipeline's hub."""
    return Target(f"ingest://{pipeline.hub}/{topic}", f"ingest://{pipeline.hub}", topic)


def _located(url: str, base_folder: Path, table: object) -> Target:
    scheme, separator, _ = url.partition("://")
    if not separator or scheme in ("file", "local"):
        path = (
            (base_folder / url.removeprefix(f"{scheme}://")).resolve() if separator else (base_folder / url).resolve()
        )
        return Target(path.as_uri(), "file", str(path))
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    path_name = parts.path.strip("/")
    if isinstance(table, str):
        path_name = f"{path_name}/{table}".strip("/")
    return Target(urlunsplit((parts.scheme, host, f"/{path_name}", "", "")), f"{parts.scheme}://{host}", path_name)
