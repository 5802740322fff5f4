"""Records of a hub as rows, for the commands that print them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ingest.cli.talk import Talk
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


class Decoder:
    """Gives records typed values, if their topic's format is known. Those that are not in it are left out, and
    told about by ``warn``."""

    def __init__(self, hub: Hub) -> None:
        from ingest.hub.topic_formats import TopicFormats

        self._formats = TopicFormats(hub)
        self._refused: dict[str, int] = {}
        self._reason = ""

    def decoded(self, records: Records) -> Records:
        from ingest.formats import format_named

        known = self._formats.get(records.topic)
        if known is None:
            return records
        found = format_named(known.format).decode(records, schema=known.schema)
        for rejected in found.rejected:
            self._reason = self._reason or rejected.reasons[0]
            self._refused[records.topic] = self._refused.get(records.topic, 0) + len(rejected.rows)
        return found.records

    def warn(self, talk: Talk) -> None:
        """Says how many records were left out, if any were."""
        for topic, count in self._refused.items():
            hint = f"ingest consume {topic} --raw prints them as they are"
            talk.warn(f"{count} records of {topic} cannot be decoded and are not shown: {self._reason}", hint=hint)


def record_facts(records: Records) -> list[dict[str, Any]]:
    """Place, time, key and headers of each record, its value left out."""
    blanks = [None] * len(records)
    columns = (records.offsets, records.timestamp, records.key, records.headers)
    values = zip(*(blanks if column is None else column.to_pylist() for column in columns), strict=True)
    return [
        {
            "topic": records.topic,
            "partition": records.partition,
            "offset": offset,
            "timestamp": timestamp_text(time),
            **text_or_base64("key", key),
            "headers": headers or [],
        }
        for offset, time, key, headers in values
    ]


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
