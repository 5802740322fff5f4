"""The set of objects that are done: exact, small, and stored in pieces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from landing import Landing

from ingest.sources.files.done import ABSENT, FORGET_MS, PIECE, DoneSet, State, hashes
from ingest.sources.files.place import Found


def found(name: str, version: int = 1) -> Found:
    return Found(version, name, 10, "")


NAMES = st.integers(0, 30).map(lambda number: f"name-{number}")


class Model(RuleBasedStateMachine):
    """Against a dictionary; the positions alone bring it back at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.done = DoneSet()
        self.known: dict[str, tuple[int, bool]] = {}
        self.gone: dict[str, int] = {}
        self.positions: dict[str, object] = {}
        self.now_ms = 1_000_000

    def note(self, changes: dict[str, object]) -> None:
        for stream, position in changes.items():
            if position is None:
                self.positions.pop(stream, None)
            else:
                self.positions[stream] = json.loads(json.dumps(position))

    @rule(name=NAMES, version=st.integers(1, 3), kept=st.booleans())
    def add(self, name: str, version: int, kept: bool) -> None:
        self.note(self.done.add(found(name, version), kept=kept))
        self.known[name] = (version, kept)

    @rule(name=NAMES)
    def drop(self, name: str) -> None:
        self.note(self.done.drop(found(name)))
        self.known.pop(name, None)

    @rule(there=st.sets(NAMES), hours=st.integers(0, 30))
    def list(self, there: set[str], hours: int) -> None:
        self.now_ms += hours * 3_600_000
        self.note(self.done.note_present(hashes([found(name) for name in there]), self.now_ms))
        self.gone = {name: self.gone.get(name, self.now_ms) for name in self.known if name not in there}
        for name, since in list(self.gone.items()):
            if self.now_ms - since >= FORGET_MS:
                del self.known[name], self.gone[name]

    @rule()
    def restart(self) -> None:
        self.done = DoneSet.restore(self.positions)  # type: ignore[arg-type]

    @invariant()
    def every_object_is_known_for_what_it_is(self) -> None:
        names = [f"name-{number}" for number in range(31)]
        for version in (1, 2):
            expected = []
            for name in names:
                known, kept = self.known.get(name, (0, False))
                same = State.KEPT if kept else State.READ
                expected.append(State.NEW if not known else same if known == version else State.CHANGED)
            assert self.done.states([found(name, version) for name in names]) == expected


Model.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestModel = Model.TestCase


def test_a_step_rewrites_one_piece_however_many_objects_there_are() -> None:
    done, positions = DoneSet(), {}
    largest = 0
    for number in range(3 * PIECE + 5):
        changes = done.add(found(f"object-{number}"))
        assert len(changes) == 1
        largest = max(largest, len(json.dumps(changes)))
        positions |= changes
    assert len(positions) == 4
    assert largest < 23_000
    again = DoneSet.restore(positions)  # type: ignore[arg-type]
    assert len(again) == 3 * PIECE + 5
    assert set(again.states([found(f"object-{number}") for number in range(3 * PIECE + 5)])) == {State.READ}


def test_a_folder_that_is_empty_for_once_makes_nothing_new(tmp_path: Path) -> None:
    """A disk that is not mounted shows an empty folder, for longer than a day perhaps."""
    landing = Landing(tmp_path)
    path = landing.put("a.txt", "a\n")
    landing.settle()
    path.rename(tmp_path / "aside")
    for _ in range(3):
        landing.clock.advance(FORGET_MS)
        landing.settle()
    (tmp_path / "aside").rename(path)
    assert landing.settle() == ["a"]


def test_an_object_that_is_gone_for_a_day_is_forgotten(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    gone = landing.put("a.txt", "a\n")
    landing.put("b.txt", "b\n")
    landing.settle()
    gone.unlink()
    landing.settle()
    assert ABSENT in landing.positions
    landing.stop()
    landing.clock.advance(FORGET_MS)
    landing.settle()
    assert ABSENT not in landing.positions
    done = DoneSet.restore(landing.positions)
    assert len(done) == 1
    assert len(np.unique(hashes([found("a.txt"), found("b.txt")]))) == 2
