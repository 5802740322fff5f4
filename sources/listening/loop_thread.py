"""An event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

_STOP_S = 5


class LoopThread:
    """Runs from the beginning until ``stop``. Its methods are for other threads."""

    def __init__(self, name: str, on_failure: Callable[[str], None]) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda _, failure: on_failure(_sentence(failure)))
        self._lock = threading.Lock()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Has it called soon; nothing happens once the thread was stopped."""
        with self._lock:
            if not self._stopped:
                self._loop.call_soon_threadsafe(function, *arguments)

    def wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs ``work`` to its end; raises what it raises."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Runs ``last``, then ends the thread. May be called again."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        asyncio.run_coroutine_threadsafe(self._end(last), self._loop)
        self._thread.join(_STOP_S)

    async def _end(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await last()
        finally:
            self._loop.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.wait(left))
        finally:
            self._loop.close()


def _sentence(failure: dict[str, Any]) -> str:
    error = failure.get("exception")
    return f"{failure['message']}: {error}" if error else str(failure["message"])
