"""The task of the ``file`` source: look, judge, read, wait."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ingest.connectors import EndOfInput, Polled, Position, SourceContext, SourceTask
from ingest.errors import ConnectorError
from ingest.sources.file.batch import Batch
from ingest.sources.file.caught_up import CaughtUp
from ingest.sources.file.discovery import Globs
from ingest.sources.file.ending import LAST_LINE_MS, Age, flush_for, newest_by_family
from ingest.sources.file.judge import Judge
from ingest.sources.file.multiline import Grouping
from ingest.sources.file.position import FilePosition
from ingest.sources.file.roster import Roster
from ingest.sources.file.rules import Dead, Flush, LineRules
from ingest.sources.file.settings import FileSettings
from ingest.sources.file.spool import Spooler
from ingest.sources.file.stream import ContentChanged, Stream
from ingest.sources.file.turns import next_turns, share_of
from ingest.sources.file.watch import Watch

STARTED = ".started"
"""A stream that only says that ``start_at: end`` has been carried out."""

_LOOK_EVERY_MS = 100
_WOKEN_AFTER_MS = 5
# Looking may take at most a twentieth of the time, a tenth where events ask for it.
_LOOK_COST = 20
_WOKEN_COST = 10
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
        self._wake = threading.Event()
        self._spooler = self._new_spooler()
        exclude = [*settings.exclude, *(self._spooler.exclusions() if self._spooler else ())]
        globs = Globs(settings.paths, exclude, context.base_folder)
        until = context.until_caught_up
        patience_ms = LAST_LINE_MS if until else settings.rotate_wait
        self._roster = Roster(settings, self._rules(), globs, context.report, drain_ms=patience_ms)
        self._judge = Judge(self._roster, context.environment.random, settle_ms=patience_ms)
        restored = {name: FilePosition.from_json(name, value) for name, value in positions.items() if name != STARTED}
        self._roster.restore(restored)
        self._done = {name for name, position in restored.items() if position.done}
        self._caught_up = CaughtUp(restored) if until else None
        self._from_end = settings.start_at == "end" and not positions
        self._newest: dict[str, Age] = {}
        self._looked_ms: int | None = None
        self._cost_ms = 0
        self._busy = False
        """There is work to go on with at once, though nothing to deliver yet."""
        self._polls = 0
        if settings.watch and not until:
            self._watch = Watch(globs.roots, self._wake, context.report)

    def poll(self) -> Polled | None:
        self._busy = False
        self._polls += 1
        if self._is_time_to_look():
            self._look()
        batch = Batch(self._context.name, self._host)
        self._fill(batch)
        polled = self._polled(batch)
        if polled is not None:
            return polled
        if self._caught_up is not None and self._caught_up.is_done(self._known):
            self._end()
        if not self._busy:
            self._wait()
        return None

    def committed(self, positions: Mapping[str, Position | None]) -> None:
        self._done.update(name for name, position in positions.items() if position and position.get("done"))
        self._put_away()

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

    def _is_time_to_look(self) -> bool:
        return self._looked_ms is None or self._until_look_ms() <= 0

    def _until_look_ms(self) -> int:
        if self._looked_ms is None:
            return 0
        woken = self._wake.is_set()
        gap_ms = max(_WOKEN_AFTER_MS, _WOKEN_COST * self._cost_ms) if woken else self._unwoken_gap_ms()
        return self._looked_ms + gap_ms - self._clock.monotonic_ms()

    def _unwoken_gap_ms(self) -> int:
        return max(_LOOK_EVERY_MS, _LOOK_COST * self._cost_ms)

    def _wait(self) -> None:
        """Until the next look is due; briefly, so that a stop is seen soon."""
        left_ms = min(_LOOK_EVERY_MS, self._until_look_ms())
        if left_ms > 0 and self._wake.is_set():
            self._context.wait(left_ms)
        elif left_ms > 0:
            self._clock.wait(self._wake, left_ms)

    def _look(self) -> None:
        self._wake.clear()
        begun_ms = self._clock.monotonic_ms()
        discovered = self._known.look(begun_ms, self._clock.now_ms())
        if self._known.moment.scan == 1:
            self._first_look(set(discovered.files))
        self._busy = self._judge.judge_all()
        self._known.tidy()
        self._newest = newest_by_family(discovered.files.values())
        self._put_away()
        self._looked_ms = self._clock.monotonic_ms()
        self._cost_ms = self._looked_ms - begun_ms
        if self._busy:
            self._looked_ms -= self._unwoken_gap_ms()

    def _first_look(self, files: set[tuple[int, int]]) -> None:
        if self._caught_up is not None:
            self._caught_up.begin(files)
        if self._from_end:
            for candidate in self._known.waiting.values():
                candidate.from_end = True

    # -- reading

    def _fill(self, batch: Batch) -> None:
        left = self._context.max_batch_bytes
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
                return

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
            self._looked_ms = None
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
        if self._ends_badly(stream):
            self._tell_damage(stream, batch)
        if self._caught_up is not None:
            self._caught_up.note(stream)
        content = stream.content
        whole = stream.exhausted and not stream.rest and content is not None and content.finished
        if self._spooler is not None and whole and not stream.position.done:
            stream.position = replace(stream.position, done=True)
            self._known.moved.add(stream.name)

    def _ends_badly(self, stream: Stream) -> bool:
        """Whether a compressed file's end must be told of: damaged, or cut off and nobody writes any more."""
        content, file = stream.content, stream.file
        if content is None or file is None or not stream.exhausted or stream.position.told == file.found.size:
            return False
        if content.damage is not None:
            return True
        over = self._caught_up is not None or file.left_scan is not None
        quiet_ms = self._known.quiet_ms(stream, by_time=self._caught_up is not None)
        return over and not content.finished and quiet_ms >= self._known.drain_ms

    def _tell_damage(self, stream: Stream, batch: Batch) -> None:
        """One dead letter for what cannot be read, so that it does not vanish silently."""
        assert stream.content is not None
        assert stream.file is not None
        damage = stream.content.damage
        at = stream.offset
        # What was cut off may still be completed, unless the file is gone.
        hopeless = damage is not None or stream.file.left_scan is not None
        value = stream.take_rest() if hopeless else b""
        reason = damage or f"the {stream.content.compression} data ends in the middle; what came before it was read"
        letter = Dead(pa.array([value], pa.binary()), np.array([at], np.int64), reason, "DamagedFile")
        stream.position = replace(stream.position, told=stream.file.found.size)
        batch.add_dead(stream, letter)

    # -- handing over

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

    def _put_away(self) -> None:
        """The spool files that the hub has on disk to their end; what fails is tried again at the next look."""
        for name in sorted(self._done):
            stream = self._known.streams.get(name)
            if stream is None or stream.file is None:
                self._done.discard(name)
                continue
            found = stream.file.found
            try:
                if self._is_still_whole(stream):
                    assert self._spooler is not None
                    self._spooler.put_away(Path(found.path))
            except FileNotFoundError:
                pass
            except OSError as error:
                self._known.trouble(found.path, error)
                continue
            self._done.discard(name)
            if stream.position.done:
                self._known.forget(stream)

    def _is_still_whole(self, stream: Stream) -> bool:
        """Whether the file is as it was when it was read; if not, it is read on, and done again later."""
        assert stream.file is not None
        found = stream.file.found
        status = os.stat(found.path)
        if (status.st_dev, status.st_ino, status.st_size) == (*found.key, found.size):
            return True
        stream.position = replace(stream.position, done=False)
        stream.look_again()
        return False
