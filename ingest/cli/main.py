"""The ``ingest`` program: finds the command, turns errors into exit codes.

Data goes to stdout, talk to stderr. Exit codes: 0 done, 1 failed, 2 usage, 78 bad configuration.
Nothing heavy is imported until a command needs it: ``--help`` answers at once.
"""

from __future__ import annotations

import gc
import importlib
import io
import itertools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from ingest import __version__
from ingest.cli.exit_codes import EXIT_DONE, EXIT_FAILED, EXIT_USAGE, exit_code
from ingest.cli.stopping import Stop, end_program, interrupt_on_signals
from ingest.cli.talk import Talk
from ingest.errors import IngestError, UsageError

_COLLECT_AFTER = 200_000

COMMANDS = {
    "init": ("ingest.cli.init:init", "Make a runnable pipeline to start from."),
    "validate": ("ingest.cli.validate:validate", "Check a pipeline file; print every mistake with its line."),
    "preview": ("ingest.cli.preview:preview", "Show the first rows after each step; write nothing."),
    "test": ("ingest.cli.test:test", "Run a pipeline's own tests."),
    "run": ("ingest.cli.run:run", "Run pipelines until stopped, or until they have caught up."),
    "status": ("ingest.cli.status:status", "Show positions, lag, rates, errors and last commits."),
    "topics": ("ingest.cli.topics:topics", "List, create, describe, alter and delete topics."),
    "groups": ("ingest.cli.groups:groups", "List and describe groups, reset and delete their offsets."),
    "produce": ("ingest.cli.produce:produce", "Append lines from stdin to a topic."),
    "consume": ("ingest.cli.consume:consume", "Print a topic's records."),
    "sql": ("ingest.cli.sql:sql", "Query topics and lake tables with SQL."),
    "dead-letters": ("ingest.cli.dead_letters:dead_letters", "List and show records that could not go on."),
    "positions": ("ingest.cli.positions:positions", "Show where sources and sinks stand; move them on purpose."),
    "connectors": ("ingest.cli.connectors:connectors", "List and describe sources, transforms and sinks."),
    "import": ("ingest.cli.import_command:import_", "Import tables of a database into files, with Sqoop's options."),
    "export": ("ingest.cli.export_command:export", "Export files into a table of a database, with Sqoop's options."),
    "tables": ("ingest.cli.databases:tables", "List the tables of a database."),
    "databases": ("ingest.cli.databases:databases", "List the databases of a server."),
    "eval": ("ingest.cli.databases:eval_", "Run one statement in a database."),
    "merge": ("ingest.cli.merge:merge", "Keep the newest row of each key, of two tables of files."),
    "capture": ("ingest.cli.capture:capture", "Write down the changes of SQLite tables."),
    "compact": ("ingest.cli.compact:compact", "Merge the small files of lake tables."),
    "check": ("ingest.cli.check:check", "Verify a data folder or a lake table."),
    "schema": ("ingest.cli.schema:schema", "Print the JSON Schema of pipeline files, for editors."),
    "completion": ("ingest.cli.completion:completion", "Print the completion script of a shell."),
}


class ReaderGone(BaseException):
    """Nobody reads our output any more, as with ``| head``. Click would take the ``OSError`` for a failure."""


@contextmanager
def _reader_may_go() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGone from error


class LazyGroup(click.Group):
    """Knows its commands by name and summary; imports one only when it is called."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _reader_may_go():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        with _reader_may_go():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from ingest.config import nearest

            meant = nearest(args[0], list(COMMANDS))
            if meant:
                raise click.UsageError(f"{error.message} Did you mean {meant}?", ctx) from error
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ingest")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How to talk on stderr; json is for machines.",
)
@click.pass_context
def cli(ctx: click.Context, log_format: str) -> None:
    """Moves logs, events and tables into a lake, exactly once, over a log of its own.

    Start with: ingest init my-pipeline --template access-log
    """
    ctx.obj = Talk(json=log_format == "json")


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns its exit code. The console script exits with it."""
    talk = Talk(json=_asked_for_json(sys.argv[1:] if arguments is None else arguments))
    try:
        try:
            result = cli.main(args=arguments, prog_name="ingest", standalone_mode=False)
        finally:
            # here, where a reader that has gone is understood, and not when the interpreter ends
            sys.stdout.flush()
        return result if isinstance(result, int) else EXIT_DONE
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return EXIT_USAGE
    except click.ClickException as error:
        talk.error(UsageError(error.format_message(), hint=_help_hint(error)))
        return EXIT_USAGE
    except (Stop, KeyboardInterrupt, click.Abort):
        talk.say("stopped")
        return EXIT_DONE
    except (ReaderGone, BrokenPipeError):
        # what is still in the buffer has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    except IngestError as error:
        talk.error(error)
        return exit_code(error)
    except OSError as error:
        talk.error(IngestError(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"))
        return EXIT_FAILED


def _help_hint(error: click.ClickException) -> str | None:
    context = getattr(error, "ctx", None)
    return None if context is None else f"{context.command_path} --help tells how"


def _asked_for_json(arguments: list[str]) -> bool:
    return "--log-format=json" in arguments or ("--log-format", "json") in itertools.pairwise(arguments)


def _fill_closed_streams() -> None:
    """Where stdin, stdout or stderr is closed, a file that is opened later would take its number, and get what is
    printed."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = "w" if descriptor else "r"
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  for as long as the program runs


def entry() -> None:
    """The console script."""
    # A start makes many objects that stay, and would look through them again and again.
    gc.set_threshold(_COLLECT_AFTER)
    interrupt_on_signals()
    _fill_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not the stand-in of a program that calls this one
            stream.reconfigure(errors="backslashreplace")
    end_program(main())
