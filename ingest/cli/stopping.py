"""SIGINT and SIGTERM: a clean stop, whatever the command.

A command that does nothing about it is interrupted where it is: what it opened is closed, and the program exits 0.
One with work in hand asks for ``stop_signal``, finishes that work, and ends by itself.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TypeVar

T = TypeVar("T")
_ends_at_once = False


class Stop(BaseException):
    """Raised in the main thread by a signal. Not ``KeyboardInterrupt``, which others take for an answer of no."""


_TURN_S = 0.2
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def interrupt_on_signals() -> None:
    """From now on both signals interrupt the main thread.

    Called once, at the program's start, by the main thread.
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        end_at_once()
        raise Stop

    for number in STOP_SIGNALS:
        # one that was ignored stays so: nohup, and jobs in the background of a script
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, on_signal)


@contextmanager
def stop_signal(on_stop: Callable[[], None]) -> Iterator[int]:
    """Calls ``on_stop`` at the first signal, in the main thread; a second one ends at once, which loses nothing.

    Gives a descriptor that can be read from as soon as a signal has come: who waits in ``select`` for something
    else waits for that, too.
    """
    asked = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        asked = True
        on_stop()

    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    before_fd = signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    heard = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, on_signal) for number in heard}
    try:
        yield woken
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_fd)
        os.close(woken)
        os.close(waker)


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
    while not done.done():
        # in turns: a signal that comes just before a wait does not end that wait
        wait([done], _TURN_S)
    return done.result()


def end_at_once() -> None:
    """The program will end without taking the interpreter down: around foreign threads that still work, it crashes."""
    global _ends_at_once
    _ends_at_once = True


def end_program(code: int) -> NoReturn:
    """Ends the process; after a ``Stop`` or ``end_at_once`` at once. All that is ours was closed on the way here."""
    if not _ends_at_once:
        gc.freeze()  # else all that is there would be looked through once more, for nothing: a fifth of a second
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
