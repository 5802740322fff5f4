"""What has come since somebody looked last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hubs import open_hub, records

from ingest.connectors import TopicPartition
from ingest.hub.embedded import EmbeddedHub
from ingest.pipelines.arrivals import Arrivals

Append = Callable[[str], None]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "data")


@pytest.fixture
def append(folder: str) -> Append:
    """Appends and closes, so that a reader sees it."""

    def add(texts: str) -> None:
        hub: EmbeddedHub = open_hub(Path(folder))
        if not any(topic.name == "t" for topic in hub.topics()):
            hub.create_topic("t")
        if texts:
            hub.append(records(*texts), 0).result()
        hub.close()

    return add


def offsets(arrivals: Arrivals) -> list[int] | None:
    event = arrivals.look()
    if event is None:
        return None
    arrivals.tell(event)
    start, end = event["offsets"]["t"]["0"]
    return [start, end]


def test_what_was_there_at_the_first_look_is_not_new(folder: str, append: Append) -> None:
    append("abc")
    arrivals = Arrivals(folder, ["t"])
    assert arrivals.look() is None
    append("de")
    assert offsets(arrivals) == [3, 5]
    assert arrivals.look() is None


def test_all_of_a_topic_that_comes_later_is_new(folder: str, append: Append) -> None:
    arrivals = Arrivals(folder, ["t"])
    assert arrivals.look() is None
    append("abc")
    assert offsets(arrivals) == [0, 3]


def test_an_event_that_nobody_took_note_of_comes_again(folder: str, append: Append) -> None:
    append("abc")
    arrivals = Arrivals(folder, ["t"], from_start=True)
    assert arrivals.look() == arrivals.look() is not None


def test_another_process_goes_on_by_the_state(folder: str, append: Append) -> None:
    append("abc")
    before = Arrivals(folder, ["t"], from_start=True)
    assert offsets(before) == [0, 3]
    append("d")
    assert offsets(Arrivals(folder, ["t"], state=before.state)) == [3, 4]


def test_what_the_group_has_delivered_is_not_new(folder: str, append: Append) -> None:
    append("abcd")
    hub = open_hub(Path(folder))
    hub.commit_group("p.lake", {TopicPartition("t", 0): 3})
    hub.close()
    assert offsets(Arrivals(folder, ["t"], group="p.lake")) == [3, 4]


def test_a_few_records_are_held_back_until_they_are_enough(folder: str, append: Append) -> None:
    append("ab")
    arrivals = Arrivals(folder, ["t"], from_start=True, at_least=3)
    assert arrivals.look() is None
    append("c")
    assert offsets(arrivals) == [0, 3]


def test_what_was_aborted_has_not_arrived(folder: str, append: Append) -> None:
    append("abc")
    arrivals = Arrivals(folder, ["t"])
    assert arrivals.look() is None
    hub = open_hub(Path(folder))
    transaction = hub.transaction(hub.register_writer("w"))
    transaction.append(records("x", "y"), 0)
    transaction.abort()
    hub.close()
    assert arrivals.look() is None
    append("de")
    assert offsets(arrivals) == [6, 8]
