"""Which clients may come at all, and who a client behind a proxy is."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.sources.listening.address import AllowList


class Addresses:
    """``allowed`` empty: everybody."""

    def __init__(self, allowed: Sequence[str], proxies: Sequence[str]) -> None:
        self._allowed = AllowList(allowed)
        self._proxies = AllowList(proxies) if proxies else None

    def allows(self, client: str) -> bool:
        """Whether it may come."""
        return self._allowed.allows(client)

    def client(self, peer: str, forwarded: bytes | None) -> str:
        """The address nearest to us that is no trusted proxy: what is further away anybody may have made up."""
        if forwarded is None or self._proxies is None:
            return peer
        client = peer
        for hop in reversed(forwarded.decode("latin-1").split(",")):
            if not self._proxies.allows(client):
                return client
            client = hop.strip()
        return client
