"""Headers of records, between Arrow's lists and their bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from ingest.wire.columns import HEADERS
from ingest.wire.varint import encode_varint


def header_bytes(headers: Iterable[tuple[str, bytes | None]]) -> bytes:
    """Name and value of each, one after the other, without their count."""
    parts: list[bytes] = []
    for name, value in headers:
        text = name.encode()
        parts += (encode_varint(len(text)), text)
        parts += (encode_varint(-1),) if value is None else (encode_varint(len(value)), value)
    return b"".join(parts)


def checked(headers: pa.Array) -> pa.Array:
    """``headers`` as ``HEADERS``; raises ``ValueError`` if one has no name, which Kafka's clients refuse."""
    if headers.type != HEADERS:
        headers = headers.cast(HEADERS)
    if headers.values.field(0).null_count or headers.values.null_count:
        raise ValueError("a record header without a name")
    return headers


def header_lists(lists: Any, names: pa.Array, values: pa.Array) -> pa.Array:
    """A ``HEADERS`` array of list offsets (int32) and flat binary columns.

    Names that are no UTF-8 are shown with replacement characters: a name is there to be compared and read.
    """
    try:
        text = names.cast(pa.string())
    except pa.ArrowInvalid:
        text = pa.array([name.decode("utf-8", "replace") for name in names.to_pylist()], pa.string())
    pairs = pa.StructArray.from_arrays([text, values], fields=list(HEADERS.value_type))
    return pa.ListArray.from_arrays(pa.array(lists, pa.int32()), pairs, type=HEADERS)
