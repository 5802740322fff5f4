"""Taking over a table: finish the last commit, shut out older writers, remove what no commit will ever list.

In that order, for a reason each. A commit is finished before anything else is decided, from its temporaries
only. The entry ``open`` takes the next number, so that a writer that was believed dead can no longer commit.
Only then are temporaries without a commit removed; and if by then a newer writer has come, none of them are,
for some may be its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingest.connectors import SinkContext
from ingest.errors import IdentityMismatch, OutputDamaged, SinkFenced
from ingest.failpoints import FailPoints
from ingest.sinks.lake.ledger import Ledger
from ingest.sinks.lake.manifest import DataFile, Entry, StoredFile
from ingest.sinks.lake.replacing import was_replaced
from ingest.sinks.lake.store import Store


@dataclass(frozen=True, slots=True)
class TakenOver:
    """The newest commit (None: there is none) and this writer's own entry, which is the newest of all."""

    commit: Entry | None
    opened: Entry


def take_over(store: Store, ledger: Ledger, context: SinkContext, writer: str) -> TakenOver:
    """Called once, by ``open``. Raises ``SinkFenced``, ``IdentityMismatch``, ``OutputDamaged``."""
    seen = -1
    while True:
        last = ledger.last()
        commit = ledger.last_commit(last)
        if last is not None:
            _check(last, store, context)
        if commit is not None:
            finish_commit(store, ledger, commit, context.environment.fail)
        opened = _opening(context, writer, last, commit)
        try:
            ledger.put(opened)
        except SinkFenced:
            # a commit of the writer before us came in between: it counts. A newer writer ends the loop.
            if opened.sequence <= seen:
                raise
            seen = opened.sequence
            continue
        context.environment.fail.hit("lake.opened")
        _remove_strays(store, ledger, opened, context.environment.fail)
        return TakenOver(commit, opened)


def publish(store: Store, files: Sequence[DataFile], fail: FailPoints) -> None:
    """Makes the files of a commit visible, each whole; to be repeated after a crash."""
    for file in files:
        store.publish(file.stored)
        fail.hit("lake.publish.file")
    store.settle_published([file.stored for file in files])
    fail.hit("lake.published")


def finish_commit(store: Store, ledger: Ledger, commit: Entry, fail: FailPoints) -> None:
    """Brings files that a commit has rewritten out of sight, then makes its own visible; they may be already, and may
    even have been merged into others since."""
    for path in commit.retires:
        store.hide(path)
        fail.hit("lake.hide.file")
    if commit.retires:
        store.settle_published([StoredFile(path, 0, "") for path in commit.retires])
        fail.hit("lake.hidden")
    try:
        publish(store, commit.files, fail)
    except OutputDamaged:
        _check_newest(store, ledger, commit)
        left = [file for file in commit.files if not was_replaced(store, ledger.owner, file, commit.commit)]
        publish(store, left, fail)


def _check_newest(store: Store, ledger: Ledger, commit: Entry) -> None:
    """A later commit may have rewritten the files: then whoever made it has finished this one before."""
    newest = ledger.last_commit(ledger.last())
    if newest is not None and newest.commit > commit.commit:
        raise SinkFenced(
            f"another writer has taken over {store.describe()}",
            hint="another process runs this sink; it goes on, and this one stops",
        )


def _check(last: Entry, store: Store, context: SinkContext) -> None:
    if last.hub_id != context.hub_id:
        raise IdentityMismatch(
            f"{store.describe()} was written by this sink from the hub {last.hub_id}, and this is {context.hub_id}",
            hint="run with the hub's former data folder, or write to a new folder, or rename the sink",
        )
    if last.epoch > context.epoch:
        raise SinkFenced(
            f"{store.describe()} was taken over by run {last.epoch} of this sink, and this is run {context.epoch}",
            hint="another process runs this pipeline, or the hub's data was restored from an older copy",
        )


def _opening(context: SinkContext, writer: str, last: Entry | None, commit: Entry | None) -> Entry:
    return Entry(
        kind="open",
        sequence=last.sequence + 1 if last else 1,
        writer=writer,
        epoch=context.epoch,
        pipeline=context.pipeline,
        sink=context.name,
        hub_id=context.hub_id,
        written_ms=context.environment.clock.now_ms(),
        commit=commit.commit if commit else 0,
        commit_sequence=commit.sequence if commit else 0,
    )


def _remove_strays(store: Store, ledger: Ledger, opened: Entry, fail: FailPoints) -> None:
    """What is listed before the ledger is looked at cannot belong to a writer that comes after it."""
    strays = store.strays(ledger.owner)
    last = ledger.last()
    if last is None or last.sequence != opened.sequence:
        raise SinkFenced(
            f"another writer has taken over {store.describe()}",
            hint="another process runs this sink; it goes on, and this one stops",
        )
    store.remove_strays(strays)
    fail.hit("lake.strays.removed")


def next_entry(opened: Entry, last: Entry) -> Entry:
    """The frame of the commit that follows ``last`` in the life of the writer ``opened``."""
    return replace(opened, kind="commit", sequence=last.sequence + 1, commit=last.commit + 1, commit_sequence=0)
