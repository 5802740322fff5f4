"""``ingest export``: files into a table, by one command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ingest.cli.database_options import Database, database_options, taken
from ingest.cli.exit_codes import EXIT_FAILED
from ingest.cli.export_lake import rewrites_of, rewritten_meanwhile, rewritten_since, was_rewritten
from ingest.cli.export_options import Asked, asked_for, export_options
from ingest.cli.hub_folder import data_option, wait_option
from ingest.cli.talk import Talk
from ingest.errors import UsageError

if TYPE_CHECKING:
    from ingest.cli.export_state import State
    from ingest.cli.export_target import Target


@click.command("export")
@database_options
@export_options
@data_option
@wait_option
@click.option("--quiet", is_flag=True, help="No progress, only the end.")
@click.pass_obj
def export(talk: Talk, /, data: Path, wait_s: float, quiet: bool, **given: Any) -> int:
    """Export files into a table, with Sqoop's options.

    Each row goes to the table once: after a crash the same command goes on, and when it is repeated it takes the files
    that are new (--again: all). What the table refuses is a dead letter, with the reason.
    """
    database = taken(given)
    asked = asked_for(given)
    found = _Export(talk, database, asked, data)
    if asked.save_as is not None:
        from ingest.cli.saved_pipeline import save

        return save(talk, asked.save_as, "export", found.pipeline)
    return found.run(wait_s=wait_s, quiet=quiet)


class _Export:
    """Everything that can be wrong is looked for first."""

    def __init__(self, talk: Talk, database: Database, asked: Asked, data: Path) -> None:
        from ingest.cli.export_files import ExportFiles, files_settings
        from ingest.cli.export_pipeline import identity, source_of
        from ingest.cli.export_target import described
        from ingest.cli.kept_command import KeptCommand

        self._talk = talk
        self._database = database
        self._asked = asked
        self._data = data
        self._kept = KeptCommand(data, "export", identity(database, asked))
        self._rewrites = rewrites_of(asked.export_dir)
        self._files = ExportFiles(asked.export_dir)
        form = self._files.form(asked)
        self._target = described(database, asked.table)
        _check(asked, self._target, form)
        self._source = source_of(asked, self._target, form, self._files.folder_columns(asked, self._target))
        self._reading = files_settings(self._source)
        self._columns = self._files.columns(self._reading, asked, self._target)

    def pipeline(self, name: str) -> dict[str, Any]:
        """Of that name."""
        from ingest.cli.export_pipeline import pipeline_of

        return pipeline_of(name, self._data, self._database, self._asked, self._target, self._source)

    def run(self, *, wait_s: float, quiet: bool) -> int:
        """The exit code."""
        from ingest.cli.arrow_start import start_arrow

        start_arrow()
        from ingest.cli.run import run_all
        from ingest.cli.saved_pipeline import as_yaml
        from ingest.pipelines.loader import load

        state = self._begin()
        text = as_yaml(self.pipeline(self._kept.name(state.number)))
        path = self._kept.write_pipeline(state.number, text)
        pipeline = load(path, variables=self._database.variables)
        (outcome,) = run_all(self._talk, [pipeline], until_caught_up=True, quiet=quiet, wait_s=wait_s)
        if outcome.state != "done":
            self._talk.warn("the export is not complete", hint="the same command goes on with it")
            return outcome.exit_code
        self._kept.write(state.ended().as_json())
        if self._is_rewritten(state):
            self._talk.error(rewritten_meanwhile(self._asked.export_dir))
            return EXIT_FAILED
        self._talk.say(f"exported into {self._asked.table}", table=self._asked.table)
        return self._compared(state) if self._asked.validate else outcome.exit_code

    def _compared(self, state: State) -> int:
        from ingest.cli.export_check import compare

        assert state.before is not None  # see _begin
        files = (self._files, self._reading)
        return compare(self._talk, self._database, self._asked, self._target, files, state.before)

    def _begin(self) -> State:
        from ingest.cli.export_state import State

        before = State.from_json(self._kept.read())
        state = before.begun(again=self._asked.again, possible=not (rewritten := self._is_rewritten(before)))
        if rewritten and not state.is_new(before):
            raise rewritten_since(self._asked.export_dir)
        state = replace(state, rewrites={**self._rewrites, **state.rewrites})
        if self._asked.validate:
            state = self._compared_with(state, is_new=state.is_new(before))
        self._kept.write(state.as_json())
        if not state.is_new(before):
            self._talk.say(
                "an export that was interrupted goes on"
                if before.phase == "running"
                else "exported before: only files that are new since then are read (--again: all)"
            )
        return state

    def _is_rewritten(self, state: State) -> bool:
        """Whether rows that are in the database, and are not told by their keys, stand in other files now."""
        if self._asked.update_key:
            return False
        return was_rewritten(state.rewrites, rewrites_of(self._asked.export_dir))

    def _compared_with(self, state: State, *, is_new: bool) -> State:
        """With what the table holds before the first row comes."""
        from ingest.cli.export_check import before

        if is_new:
            return replace(state, before=before(self._database, self._asked, self._target, self._columns))
        if state.before is None:
            raise UsageError(
                "this export was begun without --validate: what the table held before is not known",
                hint="run it without --validate",
            )
        return state


def _check(asked: Asked, target: Target, form: str) -> None:
    for name in [*asked.columns, *asked.update_key]:
        target.named(name)
    if form != "text":
        return
    binary = next((name for name in asked.columns or target.columns if target.is_binary(name)), None)
    if binary is not None:
        raise UsageError(
            f"the column {binary} holds bytes, and there is no one way to write them as text",
            hint="export Parquet or Avro files, or leave the column out by --columns",
        )
