"""Verifying a table of current rows: what its commits have rewritten is out of sight, and each key is there once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ingest.errors import IngestError
from ingest.failpoints import FailPoints
from ingest.sinks.lake.buckets import Digests, digests_of
from ingest.sinks.lake.finding import Finding
from ingest.sinks.lake.ledger import Ledger
from ingest.sinks.lake.manifest import DataFile, Entry, StoredFile
from ingest.sinks.lake.names import entry_path
from ingest.sinks.lake.recovery import finish_commit
from ingest.sinks.lake.store import Store


def rewrite_findings(store: Store, ledger: Ledger, commits: Sequence[Entry], *, repair: bool) -> Iterator[Finding]:
    """Files that are visible although a commit has rewritten them. To be asked before files are missed: the repair of
    a commit that was cut off makes its files visible."""
    present = set(store.data_files()) if any(entry.retires for entry in commits) else set()
    for entry in commits:
        visible = [path for path in entry.retires if path in present]
        if visible and entry is commits[-1]:
            yield _finished(store, ledger, entry, repair=repair)
            continue
        for path in visible:
            if repair:
                store.hide(path)
                store.settle_published([StoredFile(path, 0, "")])
            problem = "a commit has rewritten it, and it is there: globbing readers see old rows beside the newest"
            yield Finding("error", store.describe(path), problem, "hide it", repaired=repair)


def _finished(store: Store, ledger: Ledger, entry: Entry, *, repair: bool) -> Finding:
    place = store.describe(entry_path(ledger.owner, entry.sequence))
    problem = "the commit was cut off, or is at work: globbing readers may see rows as they were before it"
    finding = Finding("error", place, problem, "finish it: hide the old files, then publish the new ones")
    if not repair:
        return finding
    try:
        finish_commit(store, ledger, entry, FailPoints())
    except IngestError as error:
        return Finding("error", place, f"{problem}: {error.message}")
    return Finding("error", place, problem, finding.repair, repaired=True)


def key_findings(store: Store, live: Mapping[str, DataFile], key: Sequence[str]) -> Iterator[Finding]:
    """Keys that are there twice, or in a file where no change of them would look. Reads the key's columns of all
    files."""
    buckets = {file.bucket: path for path, file in sorted(live.items()) if file.bucket is not None}
    for one, other in pairwise(sorted(buckets)):
        if other.startswith(one):
            problem = f"its keys overlap with those of {buckets[one]}"
            yield Finding("error", store.describe(buckets[other]), problem)
    for bucket, path in buckets.items():
        if store.size_bytes(path) is not None:
            yield from _of_file(store, path, bucket, key)


def _of_file(store: Store, path: str, bucket: str, key: Sequence[str]) -> Iterator[Finding]:
    place = store.describe(path)
    try:
        digests = _digests(store, path, key)
    except (pa.ArrowException, OSError, KeyError) as error:
        yield Finding("error", place, f"its keys ({', '.join(key)}) cannot be read: {error}")
        return
    twice = int(np.count_nonzero(~digests.take(digests.order()).begins()))
    if twice:
        yield Finding("error", place, f"{twice} of its rows have a key that another row has")
    elsewhere = int(np.count_nonzero(~digests.within(bucket)))
    if elsewhere:
        yield Finding("error", place, f"{elsewhere} of its rows have keys that belong to other files")


def _digests(store: Store, path: str, key: Sequence[str]) -> Digests:
    filesystem, root = store.filesystem()
    with pq.ParquetFile(f"{root}/{path}", filesystem=filesystem) as file:
        found = [digests_of(batch, key) for batch in file.iter_batches(columns=list(key), use_threads=False)]
    if not found:
        return Digests(np.empty(0, np.uint64), np.empty(0, np.uint64))
    return Digests(np.concatenate([each.high for each in found]), np.concatenate([each.low for each in found]))
