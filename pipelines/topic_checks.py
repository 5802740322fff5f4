"""Where a pipeline's records would go to no topic, or among its dead letters."""

from __future__ import annotations

from ingest.connectors import Transform
from ingest.pipelines.document import Place
from ingest.pipelines.problems import Problems
from ingest.pipelines.spec import PipelineSpec
from ingest.runtime.plan import Plan
from ingest.runtime.transform_chain import stage_name


def check_topics(spec: PipelineSpec, plan: Plan, problems: Problems) -> None:
    """Adds what the sources' topics get wrong."""
    places: dict[object, Place] = {entry.get("name"): ("sources", at) for at, entry in enumerate(spec.sources)}
    letters = plan.errors_topic if plan.errors.tolerance == "dead-letter" else None
    for source in plan.sources:
        if any(map(_may_route, source.transforms)):
            continue
        place = (*places[source.name], "topic")
        if source.connector.needs_topic and not source.topic:
            hint = "name where its records go, such as topic: events, or add a transform of type route"
            problems.add(place, "topic is missing", hint)
        if source.topic == letters:
            message = f"{letters} would hold both the rows of source {source.name} and the dead letters"
            hint = "give the dead letters a topic of their own, by errors.topic"
            problems.add(("errors", "topic") if spec.errors.topic else place, message, hint)


def _may_route(transform: Transform) -> bool:
    """Only one of ours leaves records to the topic that they have; a stranger's may name another."""
    ours = type(transform).__module__.startswith("ingest.transforms.")
    return not ours or stage_name(transform) == "route"
