"""Accepted requests on their way to the task: those whose events go into one column, one behind the other."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import NamedTuple

from ingest.sources.http.request import Accepted

Key = tuple[bytes, bytes]
"""The digest of an idempotency key, and the fingerprint of the body that came with it."""
Headers = tuple[tuple[str, bytes], ...]


class Bundle(NamedTuple):
    """Its data are ``data_bytes`` bytes that travel beside it: the events, each of as many bytes as ``sizes`` says, or
    an Arrow IPC stream of columns (``is_table``).

    ``sizes`` (of each event) and ``counts`` (events of each request) are 64 bits each; ``keys`` and ``headers`` are
    one for each request, or None where no request has one.
    """

    topic: str
    format: str
    is_table: bool
    data_bytes: int
    sizes: bytes
    counts: bytes
    keys: Sequence[Key | None] | None
    headers: Sequence[Headers] | None

    @property
    def requests(self) -> int:
        """How many these are."""
        return len(self.counts) // 8


class Bundling:
    """Requests that came in together, about to be a bundle."""

    def __init__(self, topic: str, format_name: str, *, is_table: bool) -> None:
        self.requests: list[Accepted] = []
        self._kind = (topic, format_name, is_table)
        self._sizes, self._counts = array("q"), array("q")
        self._data: list[bytes | memoryview] = []
        self._has_keys = self._has_headers = False

    def add(self, accepted: Accepted) -> None:
        events = accepted.events
        self.requests.append(accepted)
        self._data.append(events.data)
        self._counts.append(events.count)
        if events.sizes is None:
            self._sizes.append(len(events.data))
        else:
            self._sizes.frombytes(events.sizes)
        self._has_keys = self._has_keys or accepted.digest is not None
        self._has_headers = self._has_headers or bool(events.headers)

    def end(self) -> tuple[Bundle, bytes | memoryview]:
        """The bundle and its data."""
        data = self._data[0] if len(self._data) == 1 else b"".join(self._data)
        keys = [_key(one) for one in self.requests] if self._has_keys else None
        headers = [one.events.headers for one in self.requests] if self._has_headers else None
        sizes, counts = self._sizes.tobytes(), self._counts.tobytes()
        return Bundle(*self._kind, len(data), sizes, counts, keys, headers), data


def _key(accepted: Accepted) -> Key | None:
    return None if accepted.digest is None else (accepted.digest, accepted.fingerprint)
