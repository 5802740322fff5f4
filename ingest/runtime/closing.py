"""Closing a task without hiding why it ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Closable(Protocol):
    """Anything with ``close``."""

    def close(self) -> None: ...


@contextmanager
def closing_after(task: Closable) -> Iterator[None]:
    """Closes ``task`` at the end. If both the body and ``close`` fail, the body's error is the one raised."""
    try:
        yield
    except BaseException as error:
        try:
            task.close()
        except Exception as second:
            error.add_note(f"closing it failed, too: {second}")
        raise
    task.close()
