"""Which tables, and whose files in them, ``ingest compact`` is to merge, and by which settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.cli.storage_options import parsed_options
from ingest.errors import UsageError

if TYPE_CHECKING:
    from ingest.sinks.parquet.compaction.settings import CompactSettings
    from ingest.sinks.parquet.settings import ParquetSettings

_FOR_ALL = 2


@dataclass(frozen=True, slots=True)
class Table:
    """The files of one sink, and by which settings they are merged."""

    sink: ParquetSettings
    compact: CompactSettings
    owner: str
    base_folder: Path


def tables_of(place: str, given: dict[str, Any]) -> list[Table]:
    """``place`` is a table or a pipeline file, ``given`` the options of the command line."""
    tables = _of_file(Path(place), given) if "://" not in place and Path(place).is_file() else _of_url(place, given)
    wanted = given["sink"]
    found = [table for table in tables if wanted is None or table.owner.partition("~")[2] == wanted]
    if not found:
        known = ", ".join(sorted(table.owner.partition("~")[2] for table in tables)) or "none"
        raise UsageError(f"{place} has no Parquet sink {wanted or ''}".rstrip(), hint=f"sinks there: {known}")
    return found


def _of_file(path: Path, given: dict[str, Any]) -> list[Table]:
    from ingest.pipelines.loader import load
    from ingest.sinks.lake.names import owner_name
    from ingest.sinks.parquet.connector import ParquetSink

    plan = load(path).plan
    return [
        Table(
            sink.connector.settings,
            _compact_settings(given, sink.connector.settings.compact),
            owner_name(plan.pipeline, sink.name),
            plan.base_folder,
        )
        for sink in plan.sinks
        if isinstance(sink.connector, ParquetSink)
    ]


def _of_url(url: str, given: dict[str, Any]) -> list[Table]:
    from ingest.environment import Environment
    from ingest.sinks.lake.ledger import ledgers
    from ingest.sinks.lake.target import open_store
    from ingest.sinks.parquet.settings import ParquetSettings

    options = parsed_options(given["options"])
    settings = ParquetSettings(url=url, storage_options=options, single_writer=given["single_writer"])
    store = open_store(url, Path.cwd(), Environment(), storage_options=options, single_writer=given["single_writer"])
    owners = [ledger.owner for ledger in ledgers(store)]
    if not owners:
        raise UsageError(
            f"there is no lake table at {store.describe()}",
            hint=f"is {url} the url of a sink, or a pipeline file? Only tables with manifests can be merged.",
        )
    return [Table(settings, _compact_settings(given, None), owner, Path.cwd()) for owner in owners]


def _compact_settings(given: dict[str, Any], of_sink: CompactSettings | None) -> CompactSettings:
    """What the command line says, else what the sink's settings say; the command merges all it can."""
    from pydantic import ValidationError

    from ingest.sinks.parquet.compaction.settings import CompactSettings

    known = of_sink.model_dump() if of_sink is not None else {}
    asked = {name: given[name] for name in ("below", "to", "grace") if given[name] is not None}
    try:
        return CompactSettings(**(known | asked | {"min_files": given["min_files"] or _FOR_ALL}))
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"--{'.'.join(map(str, first['loc'])) or 'to'}: {first['msg']}") from error
