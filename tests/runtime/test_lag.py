"""How far a sink is behind, in records and in time."""

from __future__ import annotations

import pytest

from ingest.connectors import TopicPartition
from ingest.errors import TopicMissing
from ingest.runtime.lag import Lag
from ingest.runtime.progress import Progress

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)


class Ends:
    """The one thing that ``Lag`` asks of a hub."""

    def __init__(self, **ends):
        self.ends = {T0: 0, T1: 0}

    def end_offset(self, topic, partition):
        try:
            return self.ends[TopicPartition(topic, partition)]
        except KeyError:
            raise TopicMissing("gone") from None


@pytest.fixture
def hub():
    return Ends()


def test_a_sink_that_has_everything_is_not_behind(clock, hub):
    progress = Progress(clock)
    Lag(hub, clock, progress).note({T0: 0, T1: 0})
    assert (progress.lag_records, progress.lag_ms) == (0, 0)


def test_the_time_is_that_since_the_log_was_where_the_sink_is_now(clock, hub):
    progress = Progress(clock)
    lag = Lag(hub, clock, progress)
    for second in range(10):
        hub.ends[T0] = 100 * second
        lag.note({T0: 100 * max(0, second - 3)})
        clock.ms += 1000
    assert (progress.lag_records, progress.lag_ms) == (300, 2000)


def test_records_of_all_partitions_count(clock, hub):
    progress = Progress(clock)
    hub.ends = {T0: 10, T1: 20}
    Lag(hub, clock, progress).note({T0: 4, T1: 5})
    assert progress.lag_records == 21


def test_a_deleted_topic_is_no_lag(clock, hub):
    progress = Progress(clock)
    hub.ends = {T0: 10}
    Lag(hub, clock, progress).note({T0: 4, T1: 5})
    assert progress.lag_records == 6


def test_a_sink_that_stands_still_for_days_takes_no_more_memory(clock, hub):
    lag = Lag(hub, clock, Progress(clock))
    hub.ends[T0] = 1
    for _ in range(10_000):
        lag.note({T0: 0})
        clock.ms += 500
    assert len(lag._samples) <= 7200
