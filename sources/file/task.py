"""The task of the ``file`` source: look, judge, read, wait."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ingest.connectors import EndOfInput, Polled, Position, SourceContext, SourceTask
from ingest.errors import ConnectorError
from ingest.sources.file.batch import Batch
from ingest.sources.file.caught_up import CaughtUp
from ingest.sources.file.damage import ends_badly, tell
from ingest.sources.file.discovery import Globs
from ingest.sources.file.ending import LAST_LINE_MS, Age, flush_for, newest_by_family
from ingest.sources.file.judge import Judge
from ingest.sources.file.multiline import Grouping
from ingest.sources.file.position import FilePosition
from ingest.sources.file.putting_away import PuttingAway
from ingest.sources.file.roster import Roster
from ingest.sources.file.rules import Flush, LineRules
from ingest.sources.file.schedule import Schedule
from ingest.sources.file.settings import FileSettings
from ingest.sources.file.spool import Spooler
from ingest.sources.file.stream import ContentChanged, Stream
from ingest.sources.file.turns import next_turns, share_of
from ingest.sources.file.watch import Watch

STARTED = ".started"
"""A stream that only says that ``start_at: end`` has been carried out."""

_STEP_BATCHES = 4
"""What lies ready is read in batches that fit into a cache, and about so many are committed together: a commit costs
syncs and records of its own, whatever its size."""
_ROW_BYTES = 16
_LEAST_ROWS = 1024


class FileTask(SourceTask):
    """Follows all files of a source. One task: identity is decided in one place."""

    def __init__(self, settings: FileSettings) -> None:
        self._settings = settings
        self._watch: Watch | None = None
        self._roster: Roster | None = None

    def open(self, context: SourceContext, positions: Mapping[str, Position]) -> None:
        settings = self._settings
        self._context = context
        self._clock = context.environment.clock
        self._host = socket.gethostname().encode()
        self._schedule = Schedule(context)
        spooler = self._new_spooler()
        exclude = [*settings.exclude, *(spooler.exclusions() if spooler else ())]
        globs = Globs(settings.paths, exclude, context.base_folder)
        until = context.until_caught_up
        patience_ms = LAST_LINE_MS if until else settings.rotate_wait
        self._roster = Roster(settings, self._rules(), globs, context.report, drain_ms=patience_ms)
        self._judge = Judge(self._roster, context.environment.random, settle_ms=patience_ms)
        restored = {name: FilePosition.from_json(name, value) for name, value in positions.items() if name != STARTED}
        self._roster.restore(restored)
        self._putting_away = PuttingAway(spooler, self._roster, restored) if spooler else None
        self._caught_up = CaughtUp(restored) if until else None
        self._from_end = settings.start_at == "end" and not positions
        self._newest: dict[str, Age] = {}
        self._busy = False
        """There is work to go on with at once, though nothing to deliver yet."""
        self._polls = 0
        self._step_bytes = 0
        """What the step that goes on holds so far."""
        if settings.watch and not until:
            self._watch = Watch(globs.roots, self._schedule.wake, context.report)

    def poll(self) -> Polled | None:
        self._busy = False
        self._polls += 1
        if self._schedule.is_due:
            self._look()
        batch = Batch(self._context.name, self._host)
        taken = self._fill(batch)
        polled = self._polled(batch)
        if polled is not None or self._step_bytes:
            return self._in_step(polled or Polled(), taken)
        if self._caught_up is not None and self._caught_up.is_done(self._known):
            self._end()
        if not self._busy:
            self._schedule.wait()
        return None

    def committed(self, positions: Mapping[str, Position | None]) -> None:
        if self._putting_away is not None:
            self._putting_away.note_committed(positions)
            self._putting_away.put_away()

    def lag(self) -> Mapping[str, int]:
        return {"bytes": self._known.unread_bytes()}

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        if self._roster is not None:
            self._roster.close()
            self._roster = None

    @property
    def _known(self) -> Roster:
        assert self._roster is not None, "the task is not open"
        return self._roster

    def _new_spooler(self) -> Spooler | None:
        environment = self._context.environment
        if self._settings.spool is None:
            return None
        return Spooler(self._settings.spool, self._context.base_folder, environment.disk, environment.fail)

    def _rules(self) -> LineRules:
        settings, most_bytes = self._settings, self._context.max_batch_bytes
        multiline = settings.multiline
        grouping = None
        if multiline is not None:
            pattern = multiline.start or multiline.continuation or ""
            grouping = Grouping(pattern, multiline.start is None, multiline.max_lines)
        return LineRules(
            max_line=settings.max_line,
            split=settings.long_lines == "split",
            undecodable=settings.undecodable,
            grouping=grouping,
            whole_bytes=max(most_bytes, settings.max_line + 1),
            rows=max(_LEAST_ROWS, most_bytes // _ROW_BYTES, multiline.max_lines + 1 if multiline else 0),
        )

    # -- looking

    def _look(self) -> None:
        now_ms = self._schedule.begin()
        discovered = self._known.look(now_ms, self._clock.now_ms())
        if self._known.moment.scan == 1:
            self._first_look(set(discovered.files))
        judging = self._judge.judge_all()
        self._known.tidy()
        self._newest = newest_by_family(discovered.files.values())
        if self._putting_away is not None:
            self._putting_away.put_away()
        self._schedule.end()
        if judging:
            self._busy = True
            self._schedule.hurry()

    def _first_look(self, files: set[tuple[int, int]]) -> None:
        if self._caught_up is not None:
            self._caught_up.begin(files)
        if self._from_end:
            for candidate in self._known.waiting.values():
                candidate.from_end = True

    # -- reading

    def _fill(self, batch: Batch) -> int:
        """Reads what lies ready, as far as a batch goes; returns how much of it that took."""
        left = most = self._context.max_batch_bytes
        while left > 0 and not self._context.stopping.is_set():
            turns = next_turns(filter(self._is_ready, self._known.following.values()))
            if len(batch):
                # A line that needs more than is left waits for a batch of its own.
                turns = [stream for stream in turns if stream.needs <= left]
            share = share_of(left, len(turns))
            before, steps = left, 0
            for stream in turns:
                if left > 0 and (stream.needs <= left or not len(batch)):
                    left -= self._read(stream, min(share, left), batch)
                    steps += stream.needs > 0
            if left == before and not steps:
                break
        return most - left

    def _is_ready(self, stream: Stream) -> bool:
        if stream.position.done or stream.blocked_at == self._known.moment.scan:
            return False
        if self._caught_up is not None and not self._caught_up.wants(stream):
            return False
        return (
            not stream.exhausted or (stream.rest > 0 and self._flush(stream) > stream.tried) or self._ends_badly(stream)
        )

    def _flush(self, stream: Stream) -> Flush:
        if self._caught_up is not None:
            return self._caught_up.flush(stream, self._known.quiet_ms(stream, by_time=True))
        return flush_for(stream, self._settings, self._known.quiet_ms(stream), self._newest)

    def _read(self, stream: Stream, budget: int, batch: Batch) -> int:
        """Reads once; returns how much of the batch that took."""
        if not self._known.ensure_open(stream):
            stream.blocked_at = self._known.moment.scan
            return 0
        stream.served_at = self._polls
        try:
            made = stream.read(budget, self._flush(stream))
        except ContentChanged:
            self._known.lose(stream, rewritten=True)
            self._schedule.hurry()
            return 0
        except OSError as error:
            stream.close()
            stream.blocked_at = self._known.moment.scan
            self._known.trouble(stream.position.path, error)
            return 0
        if made is not None:
            batch.add(stream, made)
            self._note_end(stream, batch)
        elif not stream.exhausted:
            self._busy = True
        return max(made.consumed, made.value.nbytes + made.positions.nbytes) if made is not None else 0

    def _note_end(self, stream: Stream, batch: Batch) -> None:
        if self._ends_badly(stream) and (letter := tell(stream)) is not None:
            batch.add_dead(stream, letter)
        if self._caught_up is not None:
            self._caught_up.note(stream)
        if self._putting_away is not None:
            self._putting_away.note_end(stream)

    def _ends_badly(self, stream: Stream) -> bool:
        until = self._caught_up is not None
        left = stream.file is not None and stream.file.left_scan is not None
        quiet = self._known.quiet_ms(stream, by_time=until) >= self._known.drain_ms
        return ends_badly(stream, is_over=(until or left) and quiet)

    # -- handing over

    def _in_step(self, polled: Polled, taken: int) -> Polled:
        """A step goes on for as long as there is more to read at once, up to a bound."""
        self._step_bytes += taken
        more = taken > 0 and self._step_bytes < _STEP_BATCHES * self._context.max_batch_bytes
        goes_on = more and not self._context.stopping.is_set()
        goes_on = goes_on and any(map(self._is_ready, self._known.following.values()))
        if not goes_on:
            self._step_bytes = 0
        return replace(polled, open=goes_on)

    def _polled(self, batch: Batch) -> Polled | None:
        roster = self._known
        moved = [roster.streams[name] for name in roster.moved if name in roster.streams]
        polled = batch.polled(moved, roster.forgotten)
        roster.moved.clear()
        roster.forgotten.clear()
        if self._from_end and not any(candidate.from_end for candidate in roster.waiting.values()):
            # Only once all files have their positions: a crash before that begins anew.
            self._from_end = False
            started: dict[str, Any] = {**(polled.positions if polled else {}), STARTED: {"version": 1}}
            polled = replace(polled, positions=started) if polled else Polled(positions=started)
        return polled

    def _end(self) -> None:
        """Raises ``EndOfInput``, or what kept files from being read."""
        if self._known.troubles:
            path, reason = next(iter(self._known.troubles.items()))
            count = len(self._known.troubles)
            others = f" (and {count - 1} more)" if count > 1 else ""
            raise ConnectorError(
                f"{path} cannot be read{others}: {reason}",
                hint="everything else was read; allow it to be read, or exclude it",
                path=path,
            )
        raise EndOfInput
