"""One page: which of its records are new, and where they leave the position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ingest.errors import SystemUnavailable
from ingest.http_client.client import Answer
from ingest.sources.http_poll.json_records import at, decoded, records_at
from ingest.sources.http_poll.place import next_place
from ingest.sources.http_poll.position import MAX_SEEN, PollPosition, digest_of, is_newer
from ingest.sources.http_poll.settings import HttpPollSettings


@dataclass(frozen=True, slots=True)
class Step:
    """Some new records as they were written, the position after them, and whether the round is over."""

    texts: list[str]
    position: PollPosition
    is_last: bool = False


def steps(settings: HttpPollSettings, position: PollPosition, answer: Answer, most_bytes: int) -> Iterator[Step]:
    """Cuts what is new in ``answer``, the page at ``position``, into steps of about that size; at least one.

    Raises ``SystemUnavailable`` for what is no JSON: a proxy's page for people, or half of an answer.
    """
    try:
        text = answer.body.decode("utf-8-sig")
        body = decoded(text)
    except (ValueError, RecursionError) as error:
        raise SystemUnavailable(f"the answer is no JSON: {error}; it begins with {answer.excerpt!r}") from None
    if settings.pages.type == "none" and settings.since is None:
        position = _anew_if_changed(position, answer)
    found = records_at(text, settings.records)
    texts: list[str] = []
    size_bytes = 0
    for raw, value in found[position.taken :]:
        position = replace(position, taken=position.taken + 1)
        position, is_new = _noted(settings, position, raw, value)
        if is_new:
            texts.append(raw)
            size_bytes += len(raw)
            position = replace(position, records=position.records + 1)
        if size_bytes >= most_bytes:
            yield Step(texts, position)
            texts, size_bytes = [], 0
    following = next_place(settings, position.place, answer, body, len(found))
    last = _last(settings, position, answer, following, texts)
    # A feed that has a new cursor for everyone who asks has no last page: one without records is it.
    yield replace(last, is_last=last.is_last or (settings.pages.type == "cursor" and not found))


def _anew_if_changed(position: PollPosition, answer: Answer) -> PollPosition:
    """A resource without pages is delivered whole each time that it has changed."""
    digest = digest_of(answer.body)
    return position if position.digest == digest else replace(position, taken=0, digest=digest)


def _noted(settings: HttpPollSettings, position: PollPosition, raw: str, value: Any) -> tuple[PollPosition, bool]:
    """Whether a record is new, and the newest value after it."""
    mark = at(value, settings.since.field) if settings.since is not None else None
    if mark is None:
        return position, True
    digest = digest_of(raw.encode())
    if mark == position.newest:
        if digest in position.seen:
            return position, False
        return replace(position, seen=(*position.seen, digest)[-MAX_SEEN:]), True
    if is_newer(mark, position.newest):
        return replace(position, newest=mark, seen=(digest,)), True
    return position, True


def _last(settings: HttpPollSettings, position: PollPosition, answer: Answer, following: Any, texts: list[str]) -> Step:
    """Only what was delivered whole may be passed over, so the page's tags are kept from here on."""
    if following is not None:
        return Step(texts, replace(position, place=following, taken=0, etag=None, modified=None))
    if settings.since is not None and position.newest is not None:
        anew = replace(position, place={}, taken=0, etag=None, modified=None)
        unchanged = position.place == {} and position.since == position.newest
        tagged = replace(anew, etag=answer.headers.get("etag")) if unchanged else anew
        return Step(texts, replace(tagged, since=position.newest), is_last=True)
    etag, modified = answer.headers.get("etag"), answer.headers.get("last-modified")
    return Step(texts, replace(position, etag=etag, modified=modified), is_last=True)
