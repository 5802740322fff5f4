"""OpenLineage: from which topics and files to which targets, with row counts."""

from __future__ import annotations

from collections.abc import Iterator

from airflow.providers.common.compat.openlineage.facet import (
    Dataset,
    OutputDataset,
    OutputStatisticsOutputDatasetFacet,
)
from airflow.providers.openlineage.extractors import OperatorLineage

from ingest.pipelines.loader import Pipeline
from ingest.pipelines.range_run import RangeResult
from ingest.pipelines.targets import target_of, topic_of


def lineage(done: tuple[Pipeline, RangeResult] | None) -> OperatorLineage:
    """Empty for a task that has not come to its end, and for one that was found finished."""
    if done is None or done[1].found_done:
        return OperatorLineage()
    pipeline, result = done
    topics = sorted({place.topic for ranges in result.claim.sinks.values() for place in ranges})
    inputs = [Dataset(namespace=at.namespace, name=at.name) for at in (topic_of(pipeline, name) for name in topics)]
    return OperatorLineage(inputs=inputs, outputs=list(_outputs(pipeline, result)))


def _outputs(pipeline: Pipeline, result: RangeResult) -> Iterator[OutputDataset]:
    for sink in result.claim.sinks:
        commits = [commit for commit in result.commits if commit.sink == sink]
        target = target_of(pipeline, sink)
        statistics = OutputStatisticsOutputDatasetFacet(
            rowCount=sum(commit.rows for commit in commits),
            size=sum(commit.size_bytes for commit in commits),
            fileCount=sum(commit.files for commit in commits),
        )
        yield OutputDataset(namespace=target.namespace, name=target.name, outputFacets={"outputStatistics": statistics})
