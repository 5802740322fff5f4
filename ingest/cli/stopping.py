"""SIGINT and SIGTERM: a clean stop, whatever the command.

A command that does nothing about it is interrupted where it is: what it opened is closed, and the program exits 0.
One with work in hand asks for ``stop_signal``, finishes that work, and ends by itself.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def interrupt_on_signals() -> None:
    """From now on both signals interrupt the main thread.

    Called once, at the program's start, by the main thread.
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in STOP_SIGNALS:
        # one that was ignored stays so: nohup, and jobs in the background of a script
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, on_signal)


@contextmanager
def stop_signal(on_stop: Callable[[], None]) -> Iterator[None]:
    """Calls ``on_stop`` at the first signal, in the main thread; a second one ends at once, which loses nothing."""
    asked = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        asked = True
        on_stop()

    before = {number: signal.signal(number, on_signal) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interruptible(work: Callable[[], T]) -> T:
    """What ``work`` returns or raises. A signal ends the wait for it, and leaves it behind: for foreign code that
    runs for minutes and does not look at signals."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="interruptible", daemon=True).start()
    return done.result()
