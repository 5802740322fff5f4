"""Which lost streams an unknown file may continue, by content as far as it is cheap, by names and times."""

from __future__ import annotations

from ingest.sources.file.candidate import Candidate, heads_agree
from ingest.sources.file.family import are_kin, family_of
from ingest.sources.file.head_index import HeadIndex
from ingest.sources.file.roster import OVERWRITTEN, Roster, shown
from ingest.sources.file.stream import Stream

WEAK_BYTES = 256
"""A shorter content proves little: then names and times must fit, too."""


def is_weak(stream: Stream) -> bool:
    """Whether the stream delivered so little that another file may hold the same by chance."""
    return stream.offset < WEAK_BYTES


class LostStreams:
    """The lost streams of a roster at one look."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._index = HeadIndex(roster.lost)

    def that_fit(self, candidate: Candidate) -> list[Stream]:
        """Those worth comparing with ``candidate``: kin before strangers where the content proves little,
        and the one that delivered most first."""
        path = candidate.found.path
        fitting = [
            stream
            for stream in self._index.alike(candidate.first)
            if stream.file is None
            and stream.name in self._roster.streams
            and stream.offset
            and heads_agree(candidate.first, stream.position.fingerprint)
            and self._time_fits(candidate, stream)
        ]
        return sorted(fitting, key=lambda one: (is_weak(one) and not are_kin(path, one.position.path), -one.offset))

    def _time_fits(self, candidate: Candidate, stream: Stream) -> bool:
        """Whether ``candidate`` can be where the stream's content went, by names and times alone.

        Short contents are often alike by chance: a new run of a job logs the same first line again.
        """
        # What was there at the first look came while nobody looked.
        restarted = candidate.first_scan == 1
        same_name = shown(candidate.found.path) == stream.position.path
        if same_name and stream.position.key == OVERWRITTEN:
            return False
        if not is_weak(stream) or candidate.found == stream.last_found:
            return True
        turned_back = family_of(candidate.found.path) == candidate.found.path == family_of(stream.position.path)
        if turned_back and not same_name:
            return False  # a log is turned from x.log to x.log.1, never back
        if same_name and not restarted:
            # The name was given to a new file: unless that replaced the old one in one step.
            return stream.replaced_at == candidate.first_scan and not stream.has_other_name
        if restarted or candidate.first_scan <= stream.lost_scan:
            return True
        appeared_ms = self._roster.moment.wall_ms - (self._roster.moment.now_ms - candidate.first_ms)
        return appeared_ms <= (stream.position.lost_ms or 0) + self._roster.settings.rotate_wait
