"""``ingest run`` on a disk that keeps a journal of what is safe: arguments are the pipeline and the journal."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from journal_disk import JournalDisk

from ingest.environment import Environment
from ingest.pipelines.loader import load
from ingest.pipelines.runner import Runner


def main(file: str, journal: str) -> None:
    """Runs until it is killed."""
    pipeline = load(file)
    folder = Path(file).parent
    disk = JournalDisk(Path(journal), [folder / "data", folder / "lake"])
    outcomes = Runner([pipeline], Environment(disk=disk)).run()
    sys.exit(str(outcomes))


if __name__ == "__main__":
    main(*sys.argv[1:])
