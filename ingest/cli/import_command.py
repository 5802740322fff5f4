"""``ingest import``: a table or a query into files, by one command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ingest.cli.database_options import Database, database_options, taken
from ingest.cli.hub_folder import data_option, wait_option
from ingest.cli.import_options import Asked, asked_for, import_options
from ingest.cli.talk import Talk
from ingest.errors import UsageError

if TYPE_CHECKING:
    from ingest.cli.import_state import State
    from ingest.sources.databases.tables import TableInfo


@click.command("import")
@database_options
@import_options
@data_option
@wait_option
@click.option("--quiet", is_flag=True, help="No progress, only the end.")
@click.pass_obj
def import_(talk: Talk, /, data: Path, wait_s: float, quiet: bool, **given: Any) -> int:
    """Import tables of a database into files, with Sqoop's options.

    All rows are of one moment, and each is in the files once, or none is (unless --resume says otherwise). After a
    crash the same command goes on; so does a repeated --incremental, with what is new. A target that holds something
    needs --append or --delete-target-dir.
    """
    database = taken(given)
    asked = asked_for(given)
    tables = _tables_of(database, asked)
    if asked.save_as is not None:
        from ingest.cli.import_pipeline import pipeline_of
        from ingest.cli.saved_pipeline import save

        return save(talk, asked.save_as, "import", lambda name: pipeline_of(name, data, database, asked, tables))
    code, whole = _Import(talk, database, asked, tables, data).run(wait_s=wait_s, quiet=quiet)
    if whole and asked.validate:
        from ingest.cli.import_check import compare

        return compare(talk, database, asked, tables)
    return code


def _tables_of(database: Database, asked: Asked) -> list[TableInfo]:
    """Also proves that the database can be reached, before anything is written."""
    from ingest.sources.sql.readers import reader_for

    settings = settings_of(database, asked)
    reader = reader_for(settings, Path.cwd(), 1024 * 1024)
    try:
        found = list(reader.tables(settings.selection))
    finally:
        reader.close()
    if not found:
        raise UsageError("there is no table to import")
    if asked.target_dir is not None and len(found) > 1:
        raise UsageError(f"{asked.table} names {len(found)} tables", hint="--warehouse-dir, for a folder of each")
    return found


def settings_of(database: Database, asked: Asked) -> Any:
    """What the source reads, for a reader of one's own."""
    pattern = asked.table or (f"{asked.schema}.*" if asked.schema else "*")
    return database.settings(
        tables=[] if asked.query is not None else [pattern],
        exclude=asked.exclude_tables,
        query=asked.query,
        columns=asked.columns,
        where=asked.where,
        splits=asked.num_mappers,
    )


class _Import:
    def __init__(self, talk: Talk, database: Database, asked: Asked, tables: Sequence[TableInfo], data: Path) -> None:
        from ingest.cli.import_pipeline import identity, targets_of
        from ingest.cli.kept_command import KeptCommand

        self._talk = talk
        self._database = database
        self._asked = asked
        self._tables = tables
        self._data = data
        self._targets = targets_of(asked, tables)
        self._kept = KeptCommand(data, "import", identity(database, asked))

    def run(self, *, wait_s: float, quiet: bool) -> tuple[int, bool]:
        """The exit code, and whether all is there: a clean stop ends with 0, too."""
        from ingest.cli.arrow_start import start_arrow

        start_arrow()
        from ingest.cli.import_pipeline import pipeline_of
        from ingest.cli.run import run_all
        from ingest.cli.saved_pipeline import as_yaml
        from ingest.pipelines.loader import load

        state = self._begin()
        name = self._kept.name(state.number)
        text = as_yaml(pipeline_of(name, self._data, self._database, self._asked, self._tables))
        path = self._kept.write_pipeline(state.number, text)
        pipeline = load(path, variables=self._database.variables)
        (outcome,) = run_all(self._talk, [pipeline], until_caught_up=True, quiet=quiet, wait_s=wait_s)
        if outcome.state == "done":
            self._kept.write(asdict(replace(state, phase="done")))
            self._talk.say(f"imported into {self._into}", target=self._into)
        else:
            self._talk.warn("the import is not complete", hint="the same command goes on with it")
        return outcome.exit_code, outcome.state == "done"

    @property
    def _into(self) -> str:
        return self._asked.target_dir or f"{len(self._targets)} folders in {self._asked.warehouse_dir}"

    def _begin(self) -> State:
        from ingest.cli.import_state import begun, empty, state_of

        before = state_of(self._kept.read())
        state = begun(
            before,
            self._targets.values(),
            append=self._asked.append,
            delete=self._asked.delete_target_dir,
            incremental=self._asked.incremental is not None,
            resume=self._asked.resume,
        )
        self._kept.write(asdict(state))
        if state.phase == "emptying":
            for target in self._targets.values():
                empty(target)
            state = replace(state, phase="running")
            self._kept.write(asdict(state))
        elif before.phase == "running":
            self._talk.say("an import that was interrupted goes on")
        return state
