"""Records of a hub as rows, for the commands that print them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ingest.connectors import Records
    from ingest.hub.contract import Hub

READ_BYTES = 1024 * 1024


def batches(hub: Hub, topic: str, partition: int, start: int, end: int) -> Iterator[Records]:
    """The visible records of ``start``..``end``, encoded, about a megabyte at a time."""
    while start < end:
        fetched = hub.read(topic, partition, start, max_bytes=READ_BYTES)
        if fetched.end <= start:
            return
        if fetched.records is not None:
            yield fetched.records
        start = fetched.end


def decoded(hub: Hub, records: Records) -> Records:
    """The same records with typed values, if the topic's format is known; else as they are."""
    from ingest.formats import format_named
    from ingest.hub.topic_formats import TopicFormats

    known = TopicFormats(hub).get(records.topic)
    if known is None:
        return records
    return format_named(known.format).decode(records, schema=known.schema).records


def text_or_base64(name: str, value: Any) -> dict[str, Any]:
    """``{name: text}``, or ``{name_base64: …}`` for bytes that are not UTF-8."""
    if not isinstance(value, bytes):
        return {name: value}
    try:
        return {name: value.decode("utf-8")}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(value).decode("ascii")}


def timestamp_text(value: Any) -> str | None:
    """An ISO time in UTC, with milliseconds."""
    if value is None:
        return None
    return str(value.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
