"""A token bucket for each client."""

from __future__ import annotations

import math

from ingest.sources.http.refused import Refused
from ingest.sources.http.settings import RateLimit

_MOST_CLIENTS = 100_000


class RateLimiter:
    """Used by one thread. Clients whose bucket is full again are forgotten."""

    def __init__(self, settings: RateLimit) -> None:
        self._per_ms = settings.requests / 1000
        self._burst = settings.burst
        self._by_address = settings.by == "address"
        self._buckets: dict[str, tuple[float, int]] = {}

    def check(self, address: str, now_ms: int) -> None:
        """Counts a request. Raises ``Refused`` with 429 if it is one too many."""
        client = address if self._by_address else ""
        tokens, then_ms = self._buckets.get(client, (float(self._burst), now_ms))
        tokens = min(self._burst, tokens + (now_ms - then_ms) * self._per_ms)
        if tokens < 1:
            self._buckets[client] = (tokens, now_ms)
            seconds = max(1, math.ceil((1 - tokens) / self._per_ms / 1000))
            raise Refused(429, "too many requests", headers={"Retry-After": str(seconds)})
        self._buckets[client] = (tokens - 1, now_ms)
        if len(self._buckets) > _MOST_CLIENTS:
            self.forget_idle(now_ms)

    def forget_idle(self, now_ms: int) -> None:
        """Those who might send a whole burst now; of too many that are left, the oldest."""
        full_ms = self._burst / self._per_ms
        self._buckets = {client: at for client, at in self._buckets.items() if at[1] + full_ms > now_ms}
        while len(self._buckets) > _MOST_CLIENTS:
            del self._buckets[next(iter(self._buckets))]
