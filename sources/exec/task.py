"""The task of the ``exec`` source: run, read, run again."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping

from ingest.connectors import EndOfInput, Polled, Position, SourceContext, SourceTask
from ingest.sources.exec.output import Output, exit_text
from ingest.sources.exec.process import Process
from ingest.sources.exec.settings import ExecSettings
from ingest.sources.messages.arrival import RecordMaker
from ingest.sources.messages.inbox import Inbox
from ingest.sources.messages.lines import Lines
from ingest.sources.messages.notices import Notices

STREAM = "exec"
VERSION = 1
_WAIT_MS = 200
_STEADY_MS = 60_000
"""A command that ran so long was no failure in a row."""


class Running:
    """The command and its output that is not on disk yet: they outlive a failed attempt."""

    def __init__(self, settings: ExecSettings) -> None:
        self.inbox = Inbox(settings.queue)
        self.output: Output | None = None
        self.failures = 0
        self.start_ms: int | None = None
        """When it is to be started; None: at once."""
        self.is_done = False
        self._kill: Callable[[], object] | None = None

    def begin(self, output: Output) -> None:
        """A command runs. It is killed by ``close``, or when nobody knows of this any more."""
        self.output = output
        self._kill = weakref.finalize(self, output.process.close)

    def close(self) -> None:
        """Kills the command. May be called again."""
        kill, self._kill, self.output = self._kill, None, None
        if kill is not None:
            kill()


class ExecTask(SourceTask):
    """Its position is the number of lines that were taken; a command cannot be asked for them again."""

    def __init__(self, settings: ExecSettings, running: Running) -> None:
        self._settings = settings
        self._running = running
        self._context: SourceContext | None = None

    def open(self, context: SourceContext, positions: Mapping[str, Position]) -> None:
        self._context = context
        self._clock = context.environment.clock
        self._stopping = context.stopping
        self._notices = Notices(self._clock, context.report)
        self._end_by_ms: int | None = None
        position = positions.get(STREAM)
        self._running.inbox.resume(int(position["messages"]) if position else 0)
        command = self._settings.command
        place = command if isinstance(command, str) else command[0]
        self._maker = RecordMaker(context.name, place, STREAM, self._settings.encoding, self._settings.undecodable)

    def poll(self) -> Polled | None:
        self._notices.flush()
        running = self._running
        if not running.is_done:
            if running.output is None:
                self._start_if_due()
            if running.output is not None and self._read(running.output, _WAIT_MS):
                self._ended(running.output)
        polled = self._take()
        if polled is None and running.is_done:
            self._finish()
        return polled

    def drain(self) -> Polled | None:
        """Ends the command, and takes what it still writes."""
        output, now_ms = self._running.output, self._clock.monotonic_ms()
        if output is not None and self._end_by_ms is None:
            self._end_by_ms = now_ms + self._settings.stop_wait
            output.process.end()
        while output is not None and self._clock.monotonic_ms() < (self._end_by_ms or 0):
            if self._read(output, _WAIT_MS):
                self._running.close()
                output = None
            if self._running.inbox.arrived.is_set():
                break
        return self._take()

    def committed(self, positions: Mapping[str, Position | None]) -> None:
        position = positions.get(STREAM)
        if position is not None:
            self._running.inbox.committed(int(position["messages"]))

    def lag(self) -> Mapping[str, int] | None:
        return {"bytes": self._running.inbox.size_bytes}

    def close(self) -> None:
        """After a failure the command goes on (and waits, once its pipe is full), for the next attempt."""
        if self._context is not None:
            self._notices.flush(force=True)
            if self._stopping.is_set() or self._running.is_done:
                self._running.close()

    # -- one run after the other

    def _start_if_due(self) -> None:
        running, settings, context = self._running, self._settings, self._context
        assert context is not None, "the task is not open"
        if running.start_ms is not None:
            left_ms = running.start_ms - self._clock.monotonic_ms()
            if left_ms > 0 and (context.wait(min(left_ms, _WAIT_MS)) or left_ms > _WAIT_MS):
                return
        process = Process(settings.command, context.base_folder / settings.folder, settings.environment)
        lines = Lines(settings.max_message, split=settings.split)
        running.begin(Output(process, lines, running.inbox, self._notices, self._clock))

    def _read(self, output: Output, wait_ms: int) -> bool:
        """Reads for one batch; returns whether the command has ended."""
        assert self._context is not None
        most = min(self._settings.queue, self._context.max_batch_bytes)
        inbox = self._running.inbox
        while (had := inbox.waiting_bytes) < most:
            if output.take(0 if had else wait_ms):
                return True
            if inbox.waiting_bytes == had:
                break
        return False

    def _ended(self, output: Output) -> None:
        running, settings = self._running, self._settings
        assert self._context is not None
        code = output.process.exit_code or 0
        if self._context.until_caught_up or settings.on_exit != "restart":
            running.is_done = True
            return
        steady = code == 0 or self._clock.monotonic_ms() - output.started_ms >= _STEADY_MS
        running.failures = 0 if steady else running.failures + 1
        wait_ms = min(settings.restart_wait * 2 ** max(running.failures - 1, 0), settings.max_restart_wait)
        if code:
            self._notices.note("the command is started again", exit_text(code))
        running.close()
        running.start_ms = self._clock.monotonic_ms() + wait_ms

    def _finish(self) -> None:
        """All is taken and the command is over for good."""
        output = self._running.output
        assert output is not None
        assert self._context is not None
        if self._settings.on_exit == "fail" and not self._context.until_caught_up:
            raise output.failure()
        if output.process.exit_code:
            raise output.failure()
        raise EndOfInput

    def _take(self) -> Polled | None:
        assert self._context is not None
        inbox = self._running.inbox
        first = inbox.next
        arrivals = inbox.take(self._context.max_batch_bytes)
        if not arrivals:
            return None
        records, dead = self._maker.make(arrivals, first)
        return Polled(records, {STREAM: {"version": VERSION, "messages": inbox.next}}, dead)
