"""An export as a pipeline: source ``files``, the hub, and the sink ``sql``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ingest.cli.database_options import Database
from ingest.cli.export_options import Asked
from ingest.cli.export_target import Target
from ingest.cli.saved_pipeline import character, escaped, escaped_in, given, located

_NOT_IDENTITY = ("clear_staging_table", "batch", "num_mappers", "strict", "again", "validate", "save_as")
_NULL = "\\N"


def identity(database: Database, asked: Asked) -> str:
    """The same for the same export: of one folder, read one way, into one table."""
    options = {name: getattr(asked, name) for name in Asked.__slots__ if name not in _NOT_IDENTITY}
    text = json.dumps([database.url, options | {"export_dir": located(asked.export_dir)}], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def pipeline_of(
    name: str, hub: Path, database: Database, asked: Asked, target: Target, source: dict[str, Any]
) -> dict[str, Any]:
    """What a pipeline file says; ``source`` is that of ``source_of``."""
    dead = {"tolerance": "none"} if asked.strict else {"tolerance": "dead-letter", "topic": f"{name}.dead"}
    return {
        "name": name,
        "hub": str(hub.absolute()),
        # What the sink has committed is not kept twice.
        "topics": {name: {"format": "arrow", "config": {"retention.ms": 1000}}},
        "sources": [{"name": "files", "type": "files", "topic": name, **escaped_in(source)}],
        "sinks": [_sink(database, asked, target, name)],
        "errors": dead,
    }


def source_of(asked: Asked, target: Target, form: str, folder_columns: Sequence[str]) -> dict[str, Any]:
    """The settings of the source ``files``, as they are meant; ``form`` is what the files are, and ``folder_columns``
    are what the names of their folders tell.

    A file that is overwritten after it was read: its rows may be changed again by key, and not be added again.
    """
    common = {
        "url": located(asked.export_dir),
        "format": "delimited" if form == "text" else form,
        "order": "name",
        "min_age": 0,
        "changed": "reread" if asked.update_key else "report",
        **({"folder_columns": list(folder_columns)} if folder_columns else {}),
    }
    return common | ({"delimited": _delimited(asked, target, folder_columns)} if form == "text" else {})


def _delimited(asked: Asked, target: Target, folder_columns: Sequence[str]) -> dict[str, Any]:
    columns = [name for name in asked.columns or target.columns if name not in folder_columns]
    other = asked.input_null_non_string
    nulls = {name: [_NULL if other is None else other, ""] for name in columns if not target.is_text(name)}
    escape = character("\\" if asked.input_escaped_by is None else asked.input_escaped_by)
    return {
        "columns": columns,
        "fields_terminated_by": character(asked.input_fields_terminated_by or ","),
        "lines_terminated_by": character(asked.input_lines_terminated_by or "\n"),
        "enclosed_by": character(asked.input_enclosed_by) if asked.input_enclosed_by else None,
        "escaped_by": escape or None,
        "null_values": [_NULL if asked.input_null_string is None else asked.input_null_string],
        "null_values_of": nulls,
    }


def _sink(database: Database, asked: Asked, target: Target, topic: str) -> dict[str, Any]:
    return given(
        {
            "name": "table",
            "type": "sql",
            "topics": [topic],
            "url": escaped(database.url),
            "username": escaped(database.username),
            "password": database.password,
            "table": escaped(asked.table),
            "mode": asked.mode,
            "key": [escaped(target.named(name)) for name in asked.update_key] or None,
            "columns": [escaped(name) for name in asked.columns] or None,
            "create": False,
            "load": "staged" if asked.staging_table else None,
            "staging_table": escaped(asked.staging_table),
            "clear_staging": asked.clear_staging_table or None,
        }
    )
