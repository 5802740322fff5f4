"""The task of the source ``files``: look, read what is new, wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from ingest.connectors import EndOfInput, Polled, Position, SourceContext, SourceTask
from ingest.errors import ConnectorError
from ingest.sources.files.done import DoneSet, hashes, is_own
from ingest.sources.files.looking import Looking
from ingest.sources.files.pieces import Unreadable
from ingest.sources.files.place import Found, Gone, Place
from ingest.sources.files.putting_away import PuttingAway
from ingest.sources.files.reading import Begun, Reading
from ingest.sources.files.settings import FilesSettings
from ingest.sources.files.step import Step, stream_of
from ingest.sources.files.youth import Youth

_MOST_OBJECTS = 256
"""Finished in one step."""
_WAIT_MS = 500


class FilesTask(SourceTask):
    """One object at a time, from its beginning to its end; then it is in the set of those that are done."""

    def __init__(self, settings: FilesSettings) -> None:
        self._settings = settings
        self._reading: Reading | None = None

    def open(self, context: SourceContext, positions: Mapping[str, Position]) -> None:
        settings = self._settings
        self._context = context
        self._clock = context.environment.clock
        self._place = Place(settings.url, context.base_folder, settings.storage_options)
        self._done = DoneSet.restore(positions)
        self._begun = {name: Begun.from_json(name, item) for name, item in positions.items() if not is_own(name)}
        self._youth = Youth(settings.min_age, self._clock)
        self._looking = Looking(self._place, settings, self._youth.is_young)
        self._putting_away = PuttingAway(self._place, settings, context)
        self._waiting: deque[Found] = deque()
        self._troubles: dict[str, str] = {}
        self._told: set[str] = set()
        self._only: np.ndarray | None = None
        """When catching up: what was there at the first look."""
        self._due_ms = self._clock.monotonic_ms()
        self._looked = self._more = False

    def poll(self) -> Polled | None:
        step = Step(self._context.name, self._place)
        for found in self._putting_away.take_removed():
            step.move(self._done.drop(found))
        if self._reading is None and not self._waiting and self._clock.monotonic_ms() >= self._due_ms:
            self._look(step)
        self._fill(step)
        if step:
            return step.polled()
        if self._reading is None and not self._waiting:
            self._end_if_caught_up()
            self._wait()
        return None

    def committed(self, positions: Mapping[str, Position | None]) -> None:
        self._putting_away.note_committed(positions)

    def lag(self) -> Mapping[str, int]:
        waiting = list(self._waiting)
        left = sum(found.size_bytes for found in waiting)
        return {"objects": len(waiting) + (self._reading is not None), "bytes": left}

    def close(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    # -- looking

    def _look(self, step: Step) -> None:
        self._due_ms = self._clock.monotonic_ms() + self._settings.every
        until = self._context.until_caught_up
        if until and self._looked and not self._youth and not self._more:
            return
        try:
            looked = self._looking.look(self._done, self._only)
        except Gone:
            self._trouble(self._place.url, "it is not there")
            return
        for folder, reason in looked.troubles.items():
            self._trouble(folder, reason)
        for folder in self._place.passed_over - self._told:
            self._context.report(f"{folder} is a hub or a table of a sink, and is passed over")
        self._told |= self._place.passed_over
        self._youth.keep(looked.young)
        self._waiting.extend(looked.waiting)
        for found in looked.changed:
            self._meet_changed(found, step)
        self._putting_away.put_away(looked.read)
        if not looked.troubles and self._only is None:
            self._note_gone(looked.present, step)
        if until and self._only is None:
            self._only = looked.present
        if looked.left_out or (until and self._youth):
            self._due_ms = self._clock.monotonic_ms() + (0 if looked.left_out else _WAIT_MS)
        self._looked, self._more = True, looked.left_out

    def _note_gone(self, present: np.ndarray, step: Step) -> None:
        """A folder that is all empty may be a disk that is not mounted: nothing is forgotten by it."""
        if not len(present):
            return
        step.move(self._done.note_present(present, self._clock.now_ms()))
        for stream in list(self._begun):
            lost = Found(0, "" if stream == "object" else stream, 0, "")
            if not np.isin(hashes([lost]), present).any():
                where = dict(self._begun.pop(stream).place)
                step.tell(lost, "ObjectGone", f"it was removed before its end was read, at {where}")
                step.move({stream: None})

    def _meet_changed(self, found: Found, step: Step) -> None:
        """An object that was read, and is another by now."""
        if self._settings.changed == "reread":
            self._waiting.append(found)
            return
        if self._settings.changed == "report":
            step.tell(found, "ObjectChanged", "it was overwritten after it had been read; what is new was not read")
            step.move({stream_of(found): None})
        step.move(self._done.add(found, kept=True))

    # -- reading

    def _fill(self, step: Step) -> None:
        left, finished = self._context.max_batch_bytes, 0
        while left > 0 and finished < _MOST_OBJECTS and not self._context.stopping.is_set():
            if self._reading is None and not self._open_next(step):
                return
            reading = self._reading
            if reading is None:
                finished += 1
                continue
            try:
                piece = reading.read(left)
            except Unreadable as error:
                self._give_up(reading.found, step, str(error))
                finished += 1
                continue
            except Gone:
                self.close()
                self._lose(reading.found, reading.begun if reading.begun.place else None)
                finished += 1
                continue
            if piece is None:
                self._finish(reading.found, step)
                finished += 1
                continue
            step.add(reading.found, piece)
            step.move({stream_of(reading.found): reading.begun.as_json()})
            left -= max(1, piece.value.nbytes)

    def _open_next(self, step: Step) -> bool:
        """Opens the next object, unless something speaks against it; false if there is none."""
        if not self._waiting:
            return False
        listed = self._next_waiting()
        stream = stream_of(listed)
        try:
            found = self._place.look(listed.name)
            begun = self._begun.get(stream)
            if found.version != listed.version and begun is None:
                # it is being written: the next listing judges it anew
                return True
            if begun is not None and begun.version != found.version:
                begun = self._changed_midway(found, step)
                if begun is None:
                    return True
            self._reading = Reading(self._place, found, self._settings, begun)
            self._begun.pop(stream, None)
        except Gone:
            self._lose(listed, self._begun.get(stream))
        except Unreadable as error:
            self._give_up(listed, step, str(error))
        except ConnectorError as error:
            self._trouble(self._place.describe(listed.name), error.message)
        return True

    def _next_waiting(self) -> Found:
        """What was begun goes on first."""
        if self._begun:
            for index, found in enumerate(self._waiting):
                if stream_of(found) in self._begun:
                    del self._waiting[index]
                    return found
        return self._waiting.popleft()

    def _changed_midway(self, found: Found, step: Step) -> Begun | None:
        """An object of which some was read, and that is another by now; None if no more of it is read."""
        if self._settings.changed == "reread":
            return Begun(found.version, {})
        reason = "it was overwritten while it was read; the rest of it was not read"
        if self._settings.changed == "report":
            step.tell(found, "ObjectChanged", reason)
        else:
            self._context.report(f"{self._place.describe(found.name)}: {reason}")
        self._begun.pop(stream_of(found), None)
        step.move({stream_of(found): None, **self._done.add(found, kept=True)})
        return None

    def _lose(self, found: Found, begun: Begun | None) -> None:
        """It is not there any more. What was begun is told of by a listing that does not show it either."""
        if begun is None:
            self._context.report(f"{self._place.describe(found.name)} was gone before it was read")
        else:
            self._begun[stream_of(found)] = begun

    def _finish(self, found: Found, step: Step) -> None:
        self.close()
        self._putting_away.note_end(found)
        step.move({stream_of(found): None, **self._done.add(found)})

    def _give_up(self, found: Found, step: Step, reason: str) -> None:
        self.close()
        self._begun.pop(stream_of(found), None)
        step.tell(found, "ObjectUnreadable", reason)
        step.move({stream_of(found): None, **self._done.add(found, kept=True)})

    # -- waiting

    def _trouble(self, what: str, reason: str) -> None:
        if self._troubles.get(what) != reason:
            self._context.report(f"{what}: {reason}")
        self._troubles[what] = reason

    def _end_if_caught_up(self) -> None:
        if not self._context.until_caught_up or not self._looked or self._youth:
            if self._context.until_caught_up and self._troubles and not self._looked:
                self._raise_trouble()
            return
        if self._troubles:
            self._raise_trouble()
        raise EndOfInput

    def _raise_trouble(self) -> None:
        what, reason = next(iter(self._troubles.items()))
        raise ConnectorError(
            f"{what} cannot be read: {reason}",
            hint="everything else was read; allow it to be read, or exclude it",
            path=what,
        )

    def _wait(self) -> None:
        left = self._due_ms - self._clock.monotonic_ms()
        if left > 0:
            self._context.wait(min(left, _WAIT_MS))
