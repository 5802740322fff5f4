"""When a file's last bytes, which may still go on, are a record after all."""

from __future__ import annotations

from collections.abc import Iterable

from ingest.sources.file.discovery import Found
from ingest.sources.file.family import family_of, is_turned
from ingest.sources.file.rules import Flush
from ingest.sources.file.settings import FileSettings
from ingest.sources.file.stream import Stream

LAST_LINE_MS = 1_000
"""With ``--until-caught-up`` a last line without its end is delivered if its file was quiet for so long."""


Age = tuple[int, bool]
"""A file's time, and whether it has the name without a number: of two files of one instant that is the younger."""


def newest_by_family(files: Iterable[Found]) -> dict[str, Age]:
    """The youngest file of each rotated log."""
    newest: dict[str, Age] = {}
    for found in files:
        family = family_of(found.path)
        newest[family] = max(newest.get(family, (0, False)), _age(found))
    return newest


def _age(found: Found) -> Age:
    return found.mtime_ns, not is_turned(found.path)


def flush_for(stream: Stream, settings: FileSettings, quiet_ms: int, newest: dict[str, Age]) -> Flush:
    """What may be delivered of a file that has been quiet for ``quiet_ms``, while the source runs on."""
    if quiet_ms >= settings.rotate_wait and _is_over(stream, settings, newest):
        return Flush.ALL
    if settings.multiline is not None and quiet_ms >= settings.multiline.timeout:
        return Flush.GROUPS
    return Flush.HOLD


def _is_over(stream: Stream, settings: FileSettings, newest: dict[str, Age]) -> bool:
    """Whether nobody is expected to write to the file any more."""
    assert stream.file is not None
    if not is_whole(stream):
        return False
    if settings.spool is not None or stream.file.left_scan is not None or stream.position.compression != "none":
        return True
    path = stream.file.found.path
    # A name with a number is no proof (some programs write to such): a younger turn of the same log is.
    return is_turned(path) and newest.get(family_of(path), (0, False)) > _age(stream.file.found)


def is_whole(stream: Stream) -> bool:
    """Whether the file does not end in the middle of compressed data."""
    return stream.content.finished if stream.content is not None else stream.position.compression == "none"
