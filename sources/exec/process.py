"""One run of a command, from its start to its last byte."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ingest.errors import ConnectorError

_READ_BYTES = 128 * 1024


class Process:
    """A command in a process group (and session) of its own, with nothing on its standard input.

    Bytes that are not read make it wait: that is all the back-pressure there is.
    """

    def __init__(self, command: str | Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        arguments = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - to run what the user says is the purpose
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise ConnectorError(
                f"the command {arguments[0]} cannot be run: {getattr(error, 'strerror', None) or error}",
                hint="give the program's full path, or its name if it is in PATH; and a folder that exists",
            ) from error
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._pipes = {self._process.stdout.fileno(): "out", self._process.stderr.fileno(): "error"}
        self._ready = select.poll()
        for descriptor in self._pipes:
            os.set_blocking(descriptor, False)
            self._ready.register(descriptor, select.POLLIN)

    @property
    def exit_code(self) -> int | None:
        """None while it runs; a negative one is the signal that ended it."""
        return self._process.poll()

    def read(self, wait_ms: int) -> tuple[bytes, bytes]:
        """Some of its standard output and its standard error; waits so long for either."""
        found = {"out": b"", "error": b""}
        for descriptor, _ in self._ready.poll(wait_ms):
            with contextlib.suppress(BlockingIOError):
                data = os.read(descriptor, _READ_BYTES)
                found[self._pipes[descriptor]] = data
                if not data:
                    self._ready.unregister(descriptor)
                    del self._pipes[descriptor]
        return found["out"], found["error"]

    def end(self) -> None:
        """Asks it, and what it has started, to end."""
        self._signal(signal.SIGTERM)

    def close(self) -> None:
        """Kills what is left of it. Once only: the number of its group may be somebody else's later."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._pipes.clear()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
