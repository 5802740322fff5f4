"""Events of assets: which commits a task has made, for the DAGs that are scheduled by them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAlias

from ingest.pipelines.loader import Pipeline
from ingest.pipelines.range_run import RangeResult, offsets_document
from ingest.pipelines.targets import target_of
from ingest.runtime.claim_records import NotedCommit

if TYPE_CHECKING:
    from airflow.sdk import Context

MOST_PATHS = 100
"""So many files are named in an event, which is a row of Airflow's database."""


def note_events(context: Context, outlets: Iterable[Any], pipeline: Pipeline, result: RangeResult) -> None:
    """An ``AssetAlias`` gets an event per commit, an ``Asset`` one for the whole task.

    Where the run was found finished, its commits were told of by the one that finished it. (Airflow itself adds an
    event without figures for each ``Asset`` of a task that succeeds; an alias has none then.)
    """
    if result.found_done:
        return
    events = context["outlet_events"]
    for outlet in outlets:
        if isinstance(outlet, AssetAlias):
            for commit in result.commits:
                asset = Asset(target_of(pipeline, commit.sink).uri)
                events[outlet].add(asset, extra=_commit_extra(pipeline, result, commit))
        elif isinstance(outlet, Asset):
            events[outlet].extra = _run_extra(pipeline, result, outlet)


def _commit_extra(pipeline: Pipeline, result: RangeResult, commit: NotedCommit) -> dict[str, Any]:
    """Names the commit without doubt, so that two events of one commit would be known as such."""
    offsets: dict[str, dict[str, int]] = {}
    for place, offset in commit.offsets.items():
        offsets.setdefault(place.topic, {})[str(place.partition)] = offset
    return {
        "hub_id": result.hub_id,
        "pipeline": pipeline.plan.pipeline,
        "sink": commit.sink,
        "commit": commit.number,
        "claim": commit.claim,
        "rows": commit.rows,
        "bytes": commit.size_bytes,
        "files": commit.files,
        "dead_letters": commit.dead_letters,
        "paths": list(commit.paths[:MOST_PATHS]),
        "next_offsets": offsets,
    }


def _run_extra(pipeline: Pipeline, result: RangeResult, outlet: Asset) -> dict[str, Any]:
    """Of the sink that the asset is the target of; of all sinks, if it is none's."""
    sinks = [sink for sink in result.claim.sinks if target_of(pipeline, sink).uri == outlet.uri]
    chosen = set(sinks or result.claim.sinks)
    commits = [commit for commit in result.commits if commit.sink in chosen]
    return {
        "hub_id": result.hub_id,
        "pipeline": pipeline.plan.pipeline,
        "claim": result.claim.number,
        "rows": sum(commit.rows for commit in commits),
        "bytes": sum(commit.size_bytes for commit in commits),
        "files": sum(commit.files for commit in commits),
        "commits": [[commit.sink, commit.number] for commit in commits],
        "paths": [path for commit in commits for path in commit.paths][:MOST_PATHS],
        "offsets": {sink: offsets_document(result.claim, sink) for sink in chosen},
    }
