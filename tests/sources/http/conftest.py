"""A ``posting`` for each test, closed at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from posting import Posting


@pytest.fixture
def posting(tmp_path: Path) -> Iterator[Callable[..., Posting]]:
    """Makes one with the settings given; ``pipeline`` are the other arguments of ``Posting``."""
    made: list[Posting] = []

    def make(pipeline: dict[str, Any] | None = None, **settings: Any) -> Posting:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Posting(folder, settings, **(pipeline or {})))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def shared_posting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Posting]]:
    """The same for a whole module: one for each kind of settings."""
    made: dict[str, Posting] = {}

    def make(**settings: Any) -> Posting:
        key = repr(settings)
        if key not in made:
            made[key] = Posting(tmp_path_factory.mktemp("posting"), settings)
        return made[key]

    yield make
    for one in made.values():
        one.close()
