"""What every task of a running pipeline works with."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.environment import Environment
from ingest.hub.contract import Hub
from ingest.runtime.plan import Plan
from ingest.runtime.topics import Topics


@dataclass(frozen=True, slots=True)
class TaskSetting:
    """Shared by all tasks of one worker."""

    hub: Hub
    plan: Plan
    environment: Environment
    topics: Topics

    @property
    def tolerates(self) -> bool:
        """Whether a record that cannot go on may become a dead letter."""
        return self.plan.errors.tolerance == "dead-letter"
