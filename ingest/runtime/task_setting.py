"""What every task of a running pipeline works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ingest.connectors import Commit
from ingest.environment import Environment
from ingest.hub.contract import Hub
from ingest.runtime.plan import Plan
from ingest.runtime.topics import Topics


@dataclass(frozen=True, slots=True)
class TaskSetting:
    """Shared by all tasks of one worker.

    ``on_commit`` is told, in the sink's thread, of each commit of the sink with that name once it is settled, and of
    the target's last one whenever a sink is opened: so none is left out, and one may be told twice.
    """

    hub: Hub
    plan: Plan
    environment: Environment
    topics: Topics
    on_commit: Callable[[str, Commit], None] = lambda sink, commit: None

    @property
    def tolerates(self) -> bool:
        """Whether a record that cannot go on may become a dead letter."""
        return self.plan.errors.tolerance == "dead-letter"
