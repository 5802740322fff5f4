"""Starts DAGs when records arrive: the trigger of an asset's watcher."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from ingest.pipelines.arrivals import Arrivals

_STATE = "ingest.arrivals"


class TopicTrigger(BaseEventTrigger):
    """Fires each time that at least ``at_least`` records have come, with their offsets; never ends.

        Asset("orders", watchers=[AssetWatcher(name="orders", trigger=TopicTrigger(hub=..., topics=["orders"]))])

    Name ``group`` (``<pipeline>.<sink>``) if the DAG delivers the topics: then new is what that sink has not delivered,
    whatever happens to the triggerer. Without it new is what comes after the first look, and where the triggerer stood
    is kept in Airflow's store of assets' states (Airflow 3.3; before that a restart begins anew). An event may come
    twice after a crash, with the same offsets, and is never lost.
    """

    def __init__(
        self,
        hub: str,
        topics: Sequence[str],
        group: str | None = None,
        from_start: bool = False,
        at_least: int = 1,
        every_s: float = 5.0,
    ) -> None:
        super().__init__()
        self._wanted: dict[str, Any] = {
            "hub": hub,
            "topics": list(topics),
            "group": group,
            "from_start": from_start,
            "at_least": at_least,
        }
        self._every_s = every_s
        self._kept: dict[str, dict[str, int]] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments; Airflow knows the trigger by them."""
        arguments = {**self._wanted, "every_s": self._every_s}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """For ever: a watcher that returns is started again, and would fire again for the same records."""
        arrivals = Arrivals(**self._wanted, state=await self._stored())
        while True:
            event = await asyncio.to_thread(arrivals.look)
            if event is not None:
                yield TriggerEvent(event)
                arrivals.tell(event)
            await self._store(arrivals.state)
            await asyncio.sleep(self._every_s)

    async def _stored(self) -> dict[str, dict[str, int]] | None:
        """Where this watcher stood; None if it never ran, or nothing is kept here."""
        store = self._store_of_asset()
        self._kept = await store.aget(_STATE) if store is not None else None
        return copy.deepcopy(self._kept)

    async def _store(self, state: dict[str, dict[str, int]]) -> None:
        store = self._store_of_asset()
        if store is not None and state != self._kept:
            self._kept = copy.deepcopy(state)
            await store.aset(_STATE, self._kept)

    def _store_of_asset(self) -> Any:
        """None before Airflow 3.3, and for a trigger that several assets share: theirs is no state of one asset."""
        accessors = getattr(self, "asset_state_store", None)
        by_name = getattr(accessors, "_by_name", {})
        return next(iter(by_name.values())) if len(by_name) == 1 else None
