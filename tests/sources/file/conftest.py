"""A ``tail`` for each test, closed at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tailing import Tail


@pytest.fixture
def new_tail(tmp_path: Path) -> Iterator[Callable[..., Tail]]:
    """Makes a ``Tail`` on the test's folder."""
    made: list[Tail] = []

    def make(*paths: str, **options: Any) -> Tail:
        made.append(Tail(tmp_path, *paths, **options))
        return made[-1]

    yield make
    for tail in made:
        tail.stop()


@pytest.fixture
def tail(new_tail: Callable[..., Tail]) -> Tail:
    """A source of all files in the test's folder, with defaults."""
    return new_tail()
