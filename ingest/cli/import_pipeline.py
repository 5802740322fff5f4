"""An import as a pipeline: source ``sql``, the hub, and a sink of files for each table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ingest.cli.database_options import Database
from ingest.cli.import_options import Asked
from ingest.cli.saved_pipeline import character, escaped, given, located
from ingest.errors import UsageError
from ingest.sources.databases.tables import TableInfo

_MODES = {"append": "append", "lastmodified": "modified"}
_NOT_IDENTITY = ("append", "delete_target_dir", "validate", "save_as", "num_mappers")


def targets_of(asked: Asked, tables: Sequence[TableInfo]) -> dict[str, str]:
    """The folder of each table, by its stream."""
    if asked.target_dir is not None:
        return {tables[0].stream: located(asked.target_dir)}
    assert asked.warehouse_dir is not None
    names = [table.name for table in tables]
    base = located(asked.warehouse_dir).rstrip("/")
    return {
        table.stream: f"{base}/{_folder(table.name if names.count(table.name) == 1 else table.stream)}"
        for table in tables
    }


def _folder(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._- " else "_" for letter in name).strip(". ") or "_"


def identity(database: Database, asked: Asked) -> str:
    """The same for the same import: of one selection into one target in one form."""
    place = located(asked.target_dir or asked.warehouse_dir or "")
    options = {name: getattr(asked, name) for name in Asked.__slots__ if name not in _NOT_IDENTITY}
    text = json.dumps([database.url, place, options | {"target_dir": None, "warehouse_dir": None}], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def pipeline_of(name: str, hub: Path, database: Database, asked: Asked, tables: Sequence[TableInfo]) -> dict[str, Any]:
    """What a pipeline file says."""
    template = f"{name}.{{schema}}.{{table}}" if tables[0].schema else f"{name}.{{table}}"
    topics = {table.stream: table.topic(template) for table in tables}
    if len(set(topics.values())) < len(topics):
        raise UsageError("two of the tables would share a topic: import them one by one, or exclude one")
    return {
        "name": name,
        "hub": str(hub.absolute()),
        # What the sinks have committed is not kept twice.
        "topics": {topic: {"format": "arrow", "config": {"retention.ms": 1000}} for topic in topics.values()},
        "sources": [_source(database, asked, tables, template)],
        "sinks": [
            _sink(asked, f"files{number or ''}", topics[stream], target)
            for number, (stream, target) in enumerate(targets_of(asked, tables).items())
        ],
        "errors": {"tolerance": "dead-letter", "topic": f"{name}.dead"},
    }


def _source(database: Database, asked: Asked, tables: Sequence[TableInfo], template: str) -> dict[str, Any]:
    incremental: dict[str, Any] = {"column": asked.check_column, "mode": _MODES.get(asked.incremental or "")}
    incremental |= {"start": _value(asked.last_value), "key": [*map(escaped, asked.merge_key)] or None}
    settings = {
        "name": "tables",
        "type": "sql",
        "topic": template,
        "url": escaped(database.url),
        "username": escaped(database.username),
        "password": database.password,
        "tables": [escaped(table.stream) for table in tables] if asked.query is None else None,
        "query": escaped(asked.query),
        "columns": [escaped(column) for column in asked.columns] if asked.columns else None,
        "where": escaped(asked.where),
        "split_by": [escaped(column) for column in asked.split_by] or None,
        "boundary_query": escaped(asked.boundary_query),
        "splits": asked.num_mappers,
        "resume": asked.resume or None,
        "incremental": given(incremental) if asked.incremental else None,
    }
    return given(settings)


def _sink(asked: Asked, name: str, topic: str, target: str) -> dict[str, Any]:
    common = {"name": name, "topics": [topic], "url": escaped(target)}
    if asked.form == "parquet":
        return common | {"type": "parquet"}
    if asked.form == "avro":
        return common | {"type": "files", "format": "avro"}
    text = {
        "fields_terminated_by": character(asked.fields_terminated_by),
        "escaped_by": character(asked.escaped_by) if asked.escaped_by else None,
        "null_string": escaped(asked.null_string),
    }
    packed = {"compression": "gzip"} if asked.compress else {}
    return common | {"type": "files", "format": "delimited", "delimited": text} | packed


def _value(text: str | None) -> int | str | None:
    if text is None:
        return None
    return int(text) if text.lstrip("-").isdecimal() else str(escaped(text))
