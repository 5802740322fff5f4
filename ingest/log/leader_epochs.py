"""Which epoch began at which offset: ``leader-epoch-checkpoint``, in Kafka's text format.

    0                      version
    2                      number of lines that follow
    0 0                    epoch, first offset
    1 4711

One machine has one leader for ever, but its log can lose a tail to a crash. Each time that happens the epoch
grows, so that a client that read the lost tail notices that the offsets now hold something else (KIP-101).
"""

from __future__ import annotations

from pathlib import Path

from ingest.disk import Disk
from ingest.log.atomic_file import replace_file

NAME = "leader-epoch-checkpoint"


class LeaderEpochs:
    """Ascending in both columns. The partition's lock guards it."""

    def __init__(self, path: Path, entries: list[tuple[int, int]]) -> None:
        self.path = path
        self.entries = entries

    @classmethod
    def load(cls, folder: Path) -> LeaderEpochs | None:
        """None if the file is absent or damaged."""
        path = folder / NAME
        try:
            entries = _parse(path.read_text("ascii"))
        except (FileNotFoundError, ValueError):
            return None
        return cls(path, entries)

    @property
    def current(self) -> int:
        return self.entries[-1][0] if self.entries else 0

    def end_offset(self, epoch: int, log_end: int) -> tuple[int, int]:
        """The largest epoch not above ``epoch``, and where it ends; (-1, -1) for one before the log."""
        found = (-1, -1)
        for number, (known, _) in enumerate(self.entries):
            if known <= epoch:
                later = self.entries[number + 1 : number + 2]
                found = (known, later[0][1] if later else log_end)
        return found

    def begin(self, epoch: int, start_offset: int) -> None:
        """``epoch`` holds from ``start_offset`` on; what was said of later offsets is void."""
        self.entries = [entry for entry in self.entries if entry[0] < epoch and entry[1] < start_offset]
        self.entries.append((epoch, start_offset))

    def cut_head(self, log_start: int) -> None:
        """Forgets epochs that ended before ``log_start``; the one in force there begins with it."""
        before = [entry for entry in self.entries if entry[1] <= log_start]
        if before:
            self.entries = [(before[-1][0], log_start), *self.entries[len(before) :]]

    def write(self, disk: Disk) -> None:
        """Durable on return. Raises ``StorageFailed``."""
        lines = ["0", str(len(self.entries)), *(f"{epoch} {offset}" for epoch, offset in self.entries)]
        replace_file(disk, self.path, "".join(line + "\n" for line in lines).encode())


def _parse(text: str) -> list[tuple[int, int]]:
    lines = text.split("\n")
    if lines[0] != "0" or len(lines) != int(lines[1]) + 3 or lines[-1]:
        raise ValueError("not a leader epoch checkpoint")
    pairs = [line.split(" ") for line in lines[2:-1]]
    entries = [(int(epoch), int(offset)) for epoch, offset in pairs]
    if entries != sorted(set(entries)):
        raise ValueError("epochs out of order")
    return entries
