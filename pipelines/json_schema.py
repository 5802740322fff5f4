"""The JSON Schema of a pipeline file, made from the settings models: for editors and ``ingest schema``."""

from __future__ import annotations

from typing import Any

from ingest.config import Settings
from ingest.pipelines.spec import PipelineSpec, SinkSpec, SourceSpec
from ingest.runtime import plugins


def pipeline_schema() -> dict[str, Any]:
    """Draft 2020-12; every known connector and transform is a branch chosen by its ``type``."""
    schema = PipelineSpec.model_json_schema(ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = schema.setdefault("$defs", {})
    transforms = _branches("transforms", None, definitions)
    definitions["Transform"] = transforms
    for kind, common in (("sources", SourceSpec), ("sinks", SinkSpec)):
        schema["properties"][kind]["items"] = _branches(kind, common, definitions)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "A pipeline of Ingest"
    return schema


def _branches(kind: str, common: type[Settings] | None, definitions: dict[str, Any]) -> dict[str, Any]:
    return {"oneOf": [_branch(kind, name, common, definitions) for name in plugins.known(kind)]}


def _branch(kind: str, name: str, common: type[Settings] | None, definitions: dict[str, Any]) -> dict[str, Any]:
    """One connector's keys, the shared ones included."""
    own = _resolved(plugins.find(kind, name).Settings, f"{kind}.{name}.", definitions)
    shared = _resolved(common, f"{kind}.", definitions) if common is not None else {}
    properties = {**shared.get("properties", {}), **own.get("properties", {}), "type": {"const": name}}
    if "transforms" in properties:
        properties["transforms"] = {"type": "array", "items": {"$ref": "#/$defs/Transform"}}
    required = sorted({"type", *own.get("required", []), *shared.get("required", [])})
    return {
        "type": "object",
        "description": own.get("description", ""),
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _resolved(model: type[Settings], prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """The model's schema with its own definitions moved, under names that cannot meet others."""
    schema = model.model_json_schema(ref_template="#/$defs/" + prefix + "{model}")
    for name, definition in schema.pop("$defs", {}).items():
        definitions[prefix + name] = definition
    return schema
