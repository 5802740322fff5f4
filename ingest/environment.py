"""What the engine takes from the world: clock, disk, randomness and fail points, in one value."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from ingest.clock import Clock, SystemClock
from ingest.disk import Disk, SystemDisk
from ingest.failpoints import FailPoints


@dataclass(frozen=True, slots=True)
class Environment:
    """Handed down from the command line (or a test) to everything that waits, syncs or rolls dice."""

    clock: Clock = field(default_factory=SystemClock)
    disk: Disk = field(default_factory=SystemDisk)
    random: random.Random = field(default_factory=random.Random)
    fail: FailPoints = field(default_factory=FailPoints.from_environment)
