"""Waits for a condition of a hub in Airflow's triggerer, where thousands wait in one process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from ingest.pipelines.conditions import Condition, condition, look_at


class ConditionTrigger(BaseTrigger):
    """Fires once, with what was seen, when ``wanted`` holds. The hub's folder must be readable by the triggerer."""

    def __init__(self, hub: str, wanted: Condition | dict[str, Any], every_s: float = 5.0) -> None:
        super().__init__()
        self.hub = hub
        self.wanted = wanted if isinstance(wanted, Condition) else condition(wanted)
        self.every_s = every_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        arguments = {"hub": self.hub, "wanted": self.wanted.as_dict(), "every_s": self.every_s}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Looks in a thread: other triggers share this loop."""
        while True:
            look = await asyncio.to_thread(look_at, self.hub, self.wanted, int(time.time() * 1000))
            if look.holds:
                yield TriggerEvent(dict(look.facts))
                return
            await asyncio.sleep(self.every_s)
