"""Calls that must end in time, made to a library that may not: each runs in a thread that can be left behind."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

_Calls = SimpleQueue[tuple["Future[Any]", Callable[[], Any]] | None]


class Deadline:
    """Up to ``threads`` calls at a time; more wait for their turn. A thread that hangs is a daemon: it does not
    keep the process from ending, and what it returns in the end goes nowhere."""

    def __init__(self, threads: int = 1) -> None:
        self._most = threads
        self._begin()

    def call(self, timeout_s: float, function: Callable[[], T]) -> T:
        """What ``function`` returns or raises; ``TimeLost`` if it does neither in time."""
        return self.wait(timeout_s, self.start(function))

    def start(self, function: Callable[[], T]) -> Future[T]:
        """Begins a call that is waited for later."""
        done: Future[T] = Future()
        self._calls.put((done, function))
        if self._running < self._most:
            self._running += 1
            threading.Thread(target=_run, args=[self._calls], name="deadline", daemon=True).start()
        return done

    def wait(self, timeout_s: float, done: Future[T]) -> T:
        """As ``call``, for one that was started."""
        try:
            return done.result(timeout_s)
        except TimeoutError:
            if done.done():
                raise  # the function's own
            self._leave_behind()
            raise TimeLost(f"no answer within {timeout_s:g} s") from None

    def _begin(self) -> None:
        self._calls: _Calls = SimpleQueue()
        self._running = 0
        self._end = weakref.finalize(self, _end, self._calls)

    def _leave_behind(self) -> None:
        """Calls that come later must not wait behind one that hangs."""
        self._end()
        self._begin()


class TimeLost(Exception):
    """A call took too long; it may still have its effect."""


def _run(calls: _Calls) -> None:
    while (call := calls.get()) is not None:
        done, function = call
        try:
            done.set_result(function())
        except BaseException as error:  # a panic of a compiled library is no Exception
            done.set_exception(error)
        del call, done, function
    calls.put(None)


def _end(calls: _Calls) -> None:
    calls.put(None)
