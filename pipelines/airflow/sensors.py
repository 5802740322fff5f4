"""Sensors on a hub. They wait in the triggerer unless told not to, and take no worker meanwhile."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, timezone
from airflow.sdk.exceptions import AirflowFailException

from ingest.pipelines.airflow.condition_trigger import ConditionTrigger
from ingest.pipelines.airflow.hook import IngestHook
from ingest.pipelines.conditions import CompleteUpTo, Condition, LagAtMost, Look, OffsetReached, look_at

if TYPE_CHECKING:
    from airflow.sdk import Context


class HubSensor(BaseSensorOperator):
    """What the sensors share.

    :param hub: the hub's folder, relative to the DAG's file; it must be readable where the sensor waits: by the
        triggerer, or with ``deferrable=False`` by the worker. A hub or a topic that is not there yet is waited for.
        (templated)
    :param conn_id: a connection of type ``ingest`` that names the hub instead.
    :param deferrable: whether to wait in the triggerer.

    The result (XCom) is what was seen when the wait ended. ``poke_interval`` and ``timeout`` are Airflow's.
    """

    template_fields: Sequence[str] = ("hub",)
    ui_color = "#e8f1dc"

    def __init__(
        self, *, hub: str | None = None, conn_id: str | None = None, deferrable: bool = True, **kwargs: Any
    ) -> None:
        kwargs.setdefault("poke_interval", 5.0)
        super().__init__(**kwargs)
        self.hub = hub
        self.conn_id = conn_id
        self.deferrable = deferrable
        self._seen: dict[str, Any] | None = None

    @abstractmethod
    def condition(self) -> Condition:
        """What is waited for; called when the templates are filled in."""

    def execute(self, context: Context) -> Any:
        """Looks once here; waits only if there is something to wait for."""
        if not self.deferrable:
            super().execute(context)
            return self._seen
        look = self._look()
        if look.holds:
            return dict(look.facts)
        self.log.info("waiting in the triggerer: %s", dict(look.facts))
        trigger = ConditionTrigger(self._folder(), self.condition(), every_s=self.poke_interval)
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))
        return None

    def poke(self, context: Context) -> bool:
        """Whether the wait is over."""
        look = self._look()
        self.log.info("%s: %s", "reached" if look.holds else "not yet", dict(look.facts))
        self._seen = dict(look.facts)
        return look.holds

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Called when the trigger has fired."""
        self.log.info("reached: %s", event)
        return event

    def _look(self) -> Look:
        return look_at(self._folder(), self.condition(), int(time.time() * 1000))

    def _folder(self) -> str:
        hub = self.hub or (IngestHook(self.conn_id).hub if self.conn_id else None)
        if not hub:
            raise AirflowFailException("the sensor knows no hub: give it hub=, or conn_id= of a connection with one")
        return str(Path(self.dag.fileloc).absolute().parent / hub)


class OffsetSensor(HubSensor):
    """Waits until a topic has an offset.

    :param topic: the topic. (templated)
    :param offset: how many offsets there must be. (templated)
    :param partition: in which partition; in each of them unless given.
    :param group: if given, the offsets must have been delivered by this group, ``<pipeline>.<sink>``. (templated)
    """

    template_fields: Sequence[str] = ("hub", "topic", "offset", "group")

    def __init__(
        self, *, topic: str, offset: int | str, partition: int | None = None, group: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.topic = topic
        self.offset = offset
        self.partition = partition
        self.group = group

    def condition(self) -> Condition:
        return OffsetReached(self.topic, int(self.offset), self.partition, self.group)


class LagSensor(HubSensor):
    """Waits until a sink is no more than some records behind.

    :param group: the sink, as ``<pipeline>.<sink>``. (templated)
    :param records: how far it may be behind, over all partitions. (templated)
    :param topics: the topics that it reads; those in which it has begun unless given.
    """

    template_fields: Sequence[str] = ("hub", "group", "records")

    def __init__(self, *, group: str, records: int | str = 0, topics: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group = group
        self.records = records
        self.topics = topics

    def condition(self) -> Condition:
        return LagAtMost(self.group, int(self.records), list(self.topics))


class CompleteSensor(HubSensor):
    """Waits until a sink has delivered all records up to a time: a day or an hour of the lake is complete.

    :param group: the sink, as ``<pipeline>.<sink>``. (templated)
    :param topics: the topics that it reads.
    :param up_to: the end of the day or hour, such as ``{{ data_interval_end }}``. (templated)
    :param lateness: how late records may come: so much younger a record must be seen in each partition.
    :param idle: a partition in which nothing comes counts as whole so long after that.
    """

    template_fields: Sequence[str] = ("hub", "group", "up_to")

    def __init__(
        self,
        *,
        group: str,
        topics: Sequence[str],
        up_to: datetime | str,
        lateness: timedelta = timedelta(0),
        idle: timedelta = timedelta(minutes=5),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.group = group
        self.topics = topics
        self.up_to = up_to
        self.lateness = lateness
        self.idle = idle

    def condition(self) -> Condition:
        up_to = timezone.parse(self.up_to) if isinstance(self.up_to, str) else self.up_to
        if up_to.tzinfo is None:
            raise AirflowFailException(f"up_to={up_to} has no time zone")
        return CompleteUpTo(
            self.group,
            list(self.topics),
            int(up_to.timestamp() * 1000),
            _ms(self.lateness),
            _ms(self.idle),
        )


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
