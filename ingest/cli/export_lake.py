"""An export of a lake table whose files ``ingest compact``, or a merge of changes, writes anew.

Files are exported by their names. Once a table has been rewritten, rows that are in the database stand in files of
other names, and would be added a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.errors import ConnectorError, UsageError

if TYPE_CHECKING:
    from ingest.sinks.lake.table_view import TableView

Rewrites = Mapping[str, int]
"""For each sink that writes to the table, what grows when files of it are rewritten; empty if it is no lake table."""

_HINT = (
    "empty the table and begin anew with --again; or change rows by key: --update-key ... --update-mode allowinsert; "
    "a pipeline's sink sql takes the topic itself, and never needs the files"
)


def rewrites_of(url: str) -> Rewrites:
    """Of the table now."""
    from ingest.environment import Environment
    from ingest.sinks.lake.checkpoint import look
    from ingest.sinks.lake.ledger import ledgers
    from ingest.sinks.lake.target import open_store

    if "://" not in url and Path(url).is_file():
        return {}
    store = open_store(url, Path.cwd(), Environment(), single_writer=True)
    return {ledger.owner: _rewrites(look(store, ledger.owner)) for ledger in ledgers(store)}


def was_rewritten(before: Rewrites, now: Rewrites) -> bool:
    """Whether a sink's files were; one that has come since has nothing in the database."""
    return any(now.get(owner) != number for owner, number in before.items())


def rewritten_since(url: str) -> UsageError:
    """The files that were exported are no more."""
    return UsageError(f"{url} was compacted or merged since its rows were exported: they would come twice", hint=_HINT)


def rewritten_meanwhile(url: str) -> ConnectorError:
    """Nobody knows which of the files were read."""
    return ConnectorError(
        f"{url} was compacted or merged while it was exported: rows may be missing, or there twice", hint=_HINT
    )


def _rewrites(view: TableView) -> int:
    """Compactions; and all commits, where each of them merges its changes into the files that are there."""
    merges = any(live.file.bucket is not None for live in view.files.values())
    return view.compaction + (view.commit_sequence if merges else 0)
