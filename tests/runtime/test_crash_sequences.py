"""Any sequence of crashes, anywhere in both loops: every row once, in the target or among the dead letters."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.hub.embedded import EmbeddedHub

STEPS = [
    "source.polled",
    "source.transformed",
    "source.appended",
    "source.committed",
    "sink.read",
    "sink.put",
    "sink.flushed",
    "sink.dead-letters",
    "sink.reported",
]
CRASHES = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 4)), max_size=5)

SOME_ROWS = st.sets(st.integers(0, 39))


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    crashes=CRASHES, bad=st.sets(st.integers(0, 39)), refused=st.sets(st.integers(0, 39)), per_poll=st.integers(1, 9)
)
def test_every_row_arrives_once_whatever_crashes(world, crashes, bad, refused, per_poll):
    rows = [f"!{number}" if number in bad else str(number) for number in range(40)]
    system = world.System(rows, per_poll=per_poll)
    target = world.Target(commit_every=2, refuse=lambda value: int(value) in refused)
    with tempfile.TemporaryDirectory() as folder:
        for name, count in [*crashes, ("never", 1)]:
            hub = EmbeddedHub.open(Path(folder) / "data")
            plan = world.plan(system, target, source={"transforms": [world.Upper()]})
            outcome = world.run(plan, world.crash_at(name, count), hub=hub)
            letters = sorted(int(value.lstrip(b"!")) for value, _ in replace(world, hub=hub).dead())
            hub.close()
    assert outcome.state == "done", outcome.error
    assert target.rows == [str(number) for number in range(40) if number not in bad | refused]
    assert letters == sorted(bad | refused)
