"""CloudEvents 1.0 over HTTP, mapped as its Kafka binding maps them.

Structured and batched events are stored as their envelopes; of a binary one the data is the value, and the
attributes are record headers ``ce_…``.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

import orjson

from ingest.sources.http.refused import Refused
from ingest.sources.http.request import Events

REQUIRED = ("specversion", "id", "source", "type")
STRUCTURED = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)


def attributes(headers: Mapping[bytes, bytes]) -> tuple[tuple[str, bytes], ...]:
    """The record headers of a binary event; none if the request is no event."""
    return binary_attributes(headers) if b"ce-specversion" in headers else ()


def binary_attributes(headers: Mapping[bytes, bytes]) -> tuple[tuple[str, bytes], ...]:
    """Raises ``Refused`` if one that must be there is not."""
    found = {
        name[3:].decode("latin-1"): unquote_to_bytes(value) for name, value in headers.items() if name[:3] == b"ce-"
    }
    for name in REQUIRED:
        if not found.get(name):
            raise Refused(400, f"the CloudEvent has no ce-{name}")
    if found["specversion"] != b"1.0":
        raise Refused(400, "only CloudEvents of specversion 1.0 are taken")
    kept = [(f"ce_{name}", value) for name, value in sorted(found.items())]
    content = headers.get(b"content-type")
    return (("content-type", content), *kept) if content else tuple(kept)


def check_envelopes(body: bytes, events: Events) -> None:
    """Raises ``Refused`` for the first envelope that lacks an attribute."""
    loaded = orjson.loads(body)
    for number, envelope in enumerate(loaded if isinstance(loaded, list) else [loaded]):
        place = f"item {number + 1}: " if events.count > 1 or isinstance(loaded, list) else ""
        for name in REQUIRED:
            if not isinstance(envelope.get(name), str) or not envelope[name]:
                raise Refused(422, f"{place}the CloudEvent has no {name}", item=number + 1)
        if envelope["specversion"] != "1.0":
            raise Refused(422, f"{place}only CloudEvents of specversion 1.0 are taken", item=number + 1)
