"""Exit codes, the same for like faults of all commands; docs/guides/command-line-rules.md has the table.

A command returns ``EXIT_FAILED`` for what it found; whatever goes wrong is an error, whose class decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ingest.errors import (
    ConfigError,
    IngestError,
    OffsetOutOfRange,
    TopicExists,
    TopicInvalid,
    TopicMissing,
    UsageError,
)

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CONFIG = 78

_NAMED_WRONGLY = (ConfigError, OffsetOutOfRange, TopicExists, TopicInvalid, TopicMissing)


def exit_code(error: IngestError) -> int:
    """What the program exits with when ``error`` ends it."""
    if isinstance(error, ConfigError):
        return EXIT_CONFIG
    return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED


@contextmanager
def named_on_command_line() -> Iterator[None]:
    """What is named inside stands on the command line: a name that is wrong, missing or taken is a mistake there,
    not a failure. One that has a line stands in a file that is named there, and stays what it is."""
    try:
        yield
    except _NAMED_WRONGLY as error:
        if "line" in error.facts:
            raise
        raise UsageError(error.message, hint=error.hint, **error.facts) from error
