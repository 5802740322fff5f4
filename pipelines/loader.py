"""From a pipeline file to a plan that the runtime can run, or to a list of every mistake in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ingest.config import Settings, nearest
from ingest.connectors import SinkConnector, SourceConnector, Transform
from ingest.errors import ConfigError, TopicInvalid
from ingest.log.topic_names import check_name
from ingest.pipelines.document import Document, Mark, Place, read_document
from ingest.pipelines.problems import Problems
from ingest.pipelines.spec import ErrorsSpec, PipelineSpec, RetrySpec, SinkSpec, SourceSpec, TopicSpec
from ingest.pipelines.topic_checks import check_topics
from ingest.pipelines.variables import substitute
from ingest.runtime import plugins
from ingest.runtime.plan import ErrorPolicy, Plan, Retry, SinkPlan, SourcePlan, TopicPlan

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline that can run: what the file says, and the plan made from it. ``hub`` is an absolute
    folder, or a ``kafka://`` URL."""

    spec: PipelineSpec
    plan: Plan
    hub: str
    path: Path


def load(path: Path | str, *, variables: Mapping[str, str] | None = None) -> Pipeline:
    """Reads and checks a pipeline file; does no I/O but for that file and ``${file:…}``.

    Raises ``PipelineInvalid`` with every mistake that could be found, or ``ConfigError`` if the file is
    no YAML mapping at all.
    """
    path = Path(path)
    return _Loader(read_document(path), path, variables).load()


def load_mapping(
    value: Mapping[str, Any], base_folder: Path, *, variables: Mapping[str, str] | None = None
) -> Pipeline:
    """The same for a pipeline that is already a mapping; relative paths start at ``base_folder``."""
    document = Document("<mapping>", dict(value), {(): Mark(1, 1)})
    return _Loader(document, base_folder / "<mapping>", variables).load()


class _Loader:
    def __init__(self, document: Document, path: Path, variables: Mapping[str, str] | None) -> None:
        self.document = document
        self.path = path
        self.base_folder = path.absolute().parent
        self.problems = Problems(document)
        self._variables = variables

    def load(self) -> Pipeline:
        document = self._substituted((), self.document.value)
        spec = self._validated((), PipelineSpec, document)
        if spec is None:
            # The parts are checked all the same: a user wants to hear of every mistake at once.
            lists = {name: document.get(name) for name in ("sources", "sinks")}
            self._sources(lists["sources"])
            self._sinks(lists["sinks"])
            self.problems.raise_any()
            raise ConfigError(f"{self.path} is no pipeline", path=str(self.path))
        plan = Plan(
            pipeline=spec.name,
            base_folder=self.base_folder,
            topics={name: _topic_plan(topic) for name, topic in spec.topics.items()},
            sources=self._sources(spec.sources),
            sinks=self._sinks(spec.sinks),
            errors=_error_policy(spec.errors, spec.name),
        )
        if not spec.sources and not spec.sinks:
            self.problems.add((), "the pipeline has neither sources nor sinks", "add at least one of them")
        self._check_topic_names(spec)
        check_topics(spec, plan, self.problems)
        hub = self._hub(spec.hub)
        self.problems.raise_any()
        return Pipeline(spec, plan, hub, self.path)

    def _substituted(self, place: Place, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._substituted((*place, key), item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._substituted((*place, index), item) for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        try:
            return substitute(value, self._variables)
        except ConfigError as error:
            self.problems.add_error(place, error)
            return value

    def _check_topic_names(self, spec: PipelineSpec) -> None:
        places: list[tuple[Place, Any]] = [(("topics", name), name) for name in spec.topics]
        places += [(("sources", number, "topic"), source.get("topic")) for number, source in enumerate(spec.sources)]
        places.append((("errors", "topic"), spec.errors.topic))
        for place, name in places:
            if isinstance(name, str) and "{" not in name:
                try:
                    check_name(name)
                except TopicInvalid as error:
                    self.problems.add(place, error.message, error.hint)

    def _hub(self, hub: str) -> str:
        if "://" not in hub:
            return str((self.base_folder / hub).resolve())
        if not hub.startswith("kafka://"):
            self.problems.add(("hub",), f"{hub} is no hub", "name a folder, such as ./data")
        else:
            self.problems.add(("hub",), "a Kafka hub is not supported in this version", "name a folder, such as ./data")
        return hub

    def _validated(self, place: Place, model: type[S], value: Any) -> S | None:
        try:
            return model.model_validate(value, context={"base_folder": self.base_folder})
        except ValidationError as error:
            self.problems.add_validation(place, model, error)
            return None

    def _sources(self, entries: Any) -> list[SourcePlan]:
        plans = []
        for place, entry in self._entries("sources", entries):
            parts = self._parts("sources", place, entry, SourceSpec, SourceConnector)
            if parts is not None:
                spec, connector, transforms = parts
                plans.append(
                    SourcePlan(
                        name=spec.name,
                        connector=connector,
                        topic=spec.topic or "",
                        key=spec.key,
                        timestamp=spec.timestamp,
                        transforms=transforms,
                        max_batch_bytes=spec.max_batch,
                        retry=_retry(spec.retry),
                    )
                )
        return plans

    def _sinks(self, entries: Any) -> list[SinkPlan]:
        plans = []
        for place, entry in self._entries("sinks", entries):
            parts = self._parts("sinks", place, entry, SinkSpec, SinkConnector)
            if parts is not None:
                spec, connector, transforms = parts
                plans.append(
                    SinkPlan(
                        name=spec.name,
                        connector=connector,
                        topics=list(spec.topics),
                        transforms=transforms,
                        retry=_retry(spec.retry),
                    )
                )
        return plans

    def _entries(self, kind: str, entries: Any) -> list[tuple[Place, dict[str, Any]]]:
        """The mappings of a list, each with its place; names must be unique."""
        if not isinstance(entries, list):
            return []
        found: list[tuple[Place, dict[str, Any]]] = []
        names: set[str] = set()
        for index, entry in enumerate(entries):
            if not isinstance(entry, dict):
                continue
            name = entry.get("name")
            if isinstance(name, str) and name in names:
                self.problems.add((kind, index, "name"), f"the name {name} is used twice among the {kind}")
            if isinstance(name, str):
                names.add(name)
            found.append(((kind, index), entry))
        return found

    def _parts(
        self, kind: str, place: Place, entry: dict[str, Any], model: type[S], base: type
    ) -> tuple[S, Any, list[Transform]] | None:
        """The settings that all of the kind have, the connector and the transforms; None if any of them is wrong."""
        common, rest = _divided(entry, model)
        spec = self._validated(place, model, common)
        connector = self._plugin(kind, place, entry.get("type"), rest, base, model)
        transforms = self._transforms(place, entry.get("transforms"), at_sink=kind == "sinks")
        if spec is None or connector is None or transforms is None:
            return None
        return spec, connector, transforms

    def _transforms(self, place: Place, entries: Any, *, at_sink: bool = False) -> list[Transform] | None:
        if not isinstance(entries, list):
            return []
        built: list[Transform | None] = []
        for index, entry in enumerate(entries):
            here = (*place, "transforms", index)
            if not isinstance(entry, dict):
                self.problems.add(here, "a transform is a mapping", "write for example: - type: filter")
                built.append(None)
                continue
            rest = {key: value for key, value in entry.items() if key != "type"}
            transform = self._plugin("transforms", here, entry.get("type"), rest, Transform, None)
            if transform is not None and at_sink and transform.stateful:
                hint = "move it to the source: what it remembers of a stream commits with the source's position"
                self.problems.add(here, f"{entry.get('type')} with these settings cannot run at a sink", hint)
            built.append(transform)
        return None if None in built else [item for item in built if item is not None]

    def _plugin(
        self, kind: str, place: Place, name: Any, rest: dict[str, Any], base: type, common: type[Settings] | None
    ) -> Any:
        if not isinstance(name, str):
            if common is None or name is not None:
                self.problems.add((*place, "type"), "type is missing" if name is None else "type must be a text")
            return None
        try:
            cls = plugins.find(kind, name)
        except ConfigError as error:
            self.problems.add_error((*place, "type"), error)
            return None
        settings = self._settings(place, cls.Settings, rest, common)
        if settings is None:
            return None
        try:
            return cls(settings)
        except ConfigError as error:
            self.problems.add_error(self._blamed(place, error), error)
            return None

    def _blamed(self, place: Place, error: ConfigError) -> Place:
        """A connector may name the setting at fault in the fact ``setting``."""
        setting = error.facts.get("setting")
        return (*place, setting) if isinstance(setting, str) else place

    def _settings(
        self, place: Place, model: type[Settings], rest: dict[str, Any], common: type[Settings] | None
    ) -> Settings | None:
        own = {field.alias or name for name, field in model.model_fields.items()}
        shared = set(common.model_fields) if common is not None else {"type"}
        unknown = [key for key in rest if key not in own]
        for key in unknown:
            meant = nearest(key, sorted(own | shared))
            hint = f"did you mean {meant}?" if meant else f"known keys: {', '.join(sorted(own | shared))}"
            self.problems.add((*place, key), f"unknown key {key}", hint)
        known = {key: value for key, value in rest.items() if key in own}
        return self._validated(place, model, known)


def _divided(entry: dict[str, Any], common: type[Settings]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys that every connector of the kind has, and the connector's own."""
    shared = {key: value for key, value in entry.items() if key in common.model_fields}
    return shared, {key: value for key, value in entry.items() if key not in shared}


def _topic_plan(topic: TopicSpec) -> TopicPlan:
    config = {name: _config_text(value) for name, value in topic.config.items()}
    return TopicPlan(partitions=topic.partitions, format=topic.format, config=config, contract=topic.contract)


def _config_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _error_policy(errors: ErrorsSpec, pipeline: str) -> ErrorPolicy:
    return ErrorPolicy(tolerance=errors.tolerance, topic=errors.topic or f"{pipeline}.dead")


def _retry(retry: RetrySpec) -> Retry:
    return Retry(
        budget=retry.budget, window_ms=retry.window, backoff_ms=retry.backoff, max_backoff_ms=retry.max_backoff
    )
