"""From a body to events: what the content type says it holds, looked at whole, refused whole.

Values stay as they came; columns are made of them later, many requests at a time. The exception is CSV, whose rows
become objects here, all values text: what a column holds cannot be told from one body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ingest.formats.json_events import BadEvent, Layout, bad_object, find
from ingest.formats.json_events import Events as Pieces
from ingest.sources.http import cloud_events
from ingest.sources.http.content_type import ContentType
from ingest.sources.http.csv_rows import csv_rows
from ingest.sources.http.refused import Refused
from ingest.sources.http.request import Events

LINES = frozenset(
    {
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/json-lines",
        "application/jsonlines",
    }
    | {"application/x-jsonlines", "application/x-json-stream", "text/x-ndjson"}
)
_SPACE = b" \t\r\n"


class Cutter:
    """Cuts bodies; thread-safe, without state."""

    def __init__(self, *, depth: int, csv_delimiter: str) -> None:
        self._depth = depth
        self._csv_delimiter = csv_delimiter

    def cut(self, format_name: str, body: bytes, headers: Mapping[bytes, bytes]) -> Events:
        """Raises ``Refused``: 415 for a content type that the format does not take, 400 for a body that is not in it,
        422 for one whose events are not what they should be."""
        content = ContentType.parse(headers.get(b"content-type", b"").decode("latin-1"))
        if format_name == "bytes":
            return Events(body, 1, len(body), "bytes", cloud_events.attributes(headers))
        if format_name == "text":
            return self._text(content, body)
        return self._json(content, body, headers)

    def _text(self, content: ContentType, body: bytes) -> Events:
        if content.name not in ("", "text/plain"):
            raise _unsupported(content, "text/plain")
        _require_utf8(content)
        try:
            body.decode("utf-8")
        except UnicodeDecodeError as error:
            line = body.count(b"\n", 0, error.start) + 1
            raise Refused(400, f"line {line}: not UTF-8: {error.reason}", line=line) from None
        if not body:
            raise Refused(400, "the body is empty")
        return _cut(body, _lines(body), "lines")

    def _json(self, content: ContentType, body: bytes, headers: Mapping[bytes, bytes]) -> Events:
        if content.charset:
            _require_utf8(content)
        if content.is_json:
            if b"ce-specversion" in headers:
                return self._object(body, cloud_events.binary_attributes(headers))
            if content.name == "application/cloudevents+json":
                events = self._object(body, cloud_events.STRUCTURED)
                cloud_events.check_envelopes(body, events)
                return events
            is_list = body.lstrip(_SPACE)[:1] == b"["
            return self._many(body, "list") if is_list else self._object(body)
        if content.name in LINES:
            several = body.find(b"\n", 0, len(body) - 1) >= 0
            return self._many(body, "lines") if several or not body.strip(_SPACE) else self._object(body)
        if content.name == "text/csv":
            table, rows = csv_rows(body, self._csv_delimiter)
            return Events(table, rows, len(body), "json", is_table=True)
        if content.name == "application/cloudevents-batch+json":
            events = self._many(body, "list", cloud_events.STRUCTURED)
            cloud_events.check_envelopes(body, events)
            return events
        raise _unsupported(content, "application/json, application/x-ndjson, text/csv, application/cloudevents+json")

    def _object(self, body: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> Events:
        bad = bad_object(body, max_depth=self._depth)
        if bad is not None:
            raise _bad(bad, "object")
        return Events(body.strip(_SPACE), 1, len(body), "json", headers)

    def _many(self, body: bytes, layout: Layout, headers: tuple[tuple[str, bytes], ...] = ()) -> Events:
        found = find(body, layout, max_depth=self._depth)
        if found.bad is not None:
            raise _bad(found.bad, layout)
        if not len(found):
            raise Refused(400, "the body holds no event")
        return _cut(body, found, "json", headers)


def _cut(body: bytes, pieces: Pieces, format_name: str, headers: tuple[tuple[str, bytes], ...] = ()) -> Events:
    data, sizes = pieces.cut_from(body)
    return Events(data, len(pieces), len(body), format_name, headers, sizes.tobytes())


def _bad(bad: BadEvent, layout: str) -> Refused:
    status = 400 if bad.reason.startswith("not JSON") else 422
    place = {"object": "", "lines": f"line {bad.line}: ", "list": f"item {bad.number + 1}: "}[layout]
    facts: dict[str, Any] = {"line": bad.line, "position": bad.position}
    if layout == "list":
        facts["item"] = bad.number + 1
    return Refused(status, place + bad.reason, **facts)


def _unsupported(content: ContentType, known: str) -> Refused:
    name = content.name[:80]
    return Refused(415, f"the content type {name} is not taken here; known: {known}", headers={"Accept-Post": known})


def _require_utf8(content: ContentType) -> None:
    if content.charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise Refused(415, f"the charset {content.charset[:40]} is not taken here; send UTF-8")


def _lines(text: bytes) -> Pieces:
    """One piece a line, without its end (a line feed, or a carriage return and one); none after the last end."""
    data = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(data == 10).astype(np.int64)
    if len(data) and data[-1] != 10:
        ends = np.append(ends, len(data))
    starts = np.concatenate(([0], ends[:-1] + 1))[: len(ends)]
    returned = (ends > starts) & (data[np.maximum(ends - 1, 0)] == 13) if len(ends) else np.empty(0, bool)
    return Pieces(starts.astype(np.int64), (ends - returned).astype(np.int64))
