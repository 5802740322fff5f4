"""The housekeeping thread: soon after a change, again and again, and never stopped by a disk that refuses."""

from __future__ import annotations

import threading

from ingest.clock import SystemClock
from ingest.environment import Environment
from ingest.errors import StorageFailed
from ingest.log.housekeeping import Chore, Housekeeping


class Waits(SystemClock):
    """Intervals pass at once."""

    def monotonic_ms(self) -> int:
        return super().monotonic_ms() * 1000

    def wait(self, event: threading.Event, timeout_ms: int) -> bool:
        return super().wait(event, min(timeout_ms, 2))


def test_a_change_is_published_and_chores_come_round(tmp_path: object) -> None:
    published, ran = threading.Event(), threading.Semaphore(0)
    keeping = Housekeeping(
        Environment(clock=Waits()), published.set, [Chore("chore", 1000, ran.release)], print, lambda fault: None
    )
    keeping.start()
    for _ in range(3):
        assert ran.acquire(timeout=30)
    assert not published.is_set()
    keeping.changed()
    assert published.wait(30)
    keeping.stop()
    keeping.stop()


def test_a_chore_that_fails_is_told_once_and_tried_again() -> None:
    said: list[str] = []
    ran = threading.Semaphore(0)

    def fail() -> None:
        ran.release()
        raise StorageFailed("no room")

    keeping = Housekeeping(
        Environment(clock=Waits()), lambda: None, [Chore("cleaning", 1000, fail)], said.append, lambda fault: None
    )
    keeping.start()
    for _ in range(5):
        assert ran.acquire(timeout=30)
    keeping.stop()
    assert said == ["cleaning failed: no room"]


def test_a_mistake_in_a_chore_does_not_stay_hidden() -> None:
    faults: list[BaseException] = []
    told = threading.Event()

    def tell(fault: BaseException) -> None:
        faults.append(fault)
        told.set()

    def mistake() -> None:
        raise ZeroDivisionError

    keeping = Housekeeping(Environment(clock=Waits()), lambda: None, [Chore("cleaning", 0, mistake)], print, tell)
    keeping.start()
    assert told.wait(30)
    assert isinstance(faults[0], ZeroDivisionError)
    keeping.stop()
