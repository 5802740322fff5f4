"""Which clients may come at all, and who a client behind a proxy is."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Addresses:
    """``allowed`` empty: everybody."""

    def __init__(self, allowed: Sequence[str], proxies: Sequence[str]) -> None:
        self._allowed = [ipaddress.ip_network(one) for one in allowed]
        self._proxies = [ipaddress.ip_network(one) for one in proxies]
        self.allows = lru_cache(maxsize=4096)(self._allows)

    def client(self, peer: str, forwarded: bytes | None) -> str:
        """The address nearest to us that is no trusted proxy: what is further away anybody may have made up."""
        if forwarded is None or not self._proxies:
            return peer
        client = peer
        for hop in reversed(forwarded.decode("latin-1").split(",")):
            address = _parsed(client)
            if address is None or not _within(address, self._proxies):
                return client
            client = hop.strip()
        return client

    def _allows(self, client: str) -> bool:
        if not self._allowed:
            return True
        address = _parsed(client)
        return address is not None and _within(address, self._allowed)


def _within(address: Address, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return any(address in network for network in networks)


def _parsed(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
