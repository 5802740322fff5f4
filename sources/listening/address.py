"""Where a source listens, and who may send to it."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^:\[\]\s]+)):(\d{1,5})")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Address:
    """A host, by name or number, and a port; 0 lets the system choose one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it. A name other than ``localhost`` is taken for one that others can."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_address(text: str) -> Address:
    """Raises ``ValueError``."""
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or int(match[3]) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT; write for example 127.0.0.1:5514, or [::1]:5514")
    return Address(match[1] or match[2], int(match[3]))


def _checked_address(text: str) -> str:
    parse_address(text)
    return text


def _checked_network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(f"{text!r} is no IP address or network; write for example 10.0.0.0/8") from None
    return text


ListenAddress = Annotated[str, AfterValidator(_checked_address)]
Allowed = Annotated[str, AfterValidator(_checked_network)]


class AllowList:
    """The networks that may send. Without any, whoever can reach the socket may."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._networks: list[Network] = [ipaddress.ip_network(text) for text in allowed]
        self._known: dict[str, bool] = {}

    def allows(self, host: str) -> bool:
        """``host`` is a number, as sockets name their peers; what is none is in no network."""
        if not self._networks:
            return True
        if host not in self._known:
            if len(self._known) >= 10_000:
                self._known.clear()
            self._known[host] = self._is_allowed(host)
        return self._known[host]

    def _is_allowed(self, host: str) -> bool:
        try:
            number = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        number = getattr(number, "ipv4_mapped", None) or number
        return any(number in network for network in self._networks if network.version == number.version)


def peer_text(peer: tuple[str, int]) -> str:
    """How a peer is named in headers and reports."""
    host, port = peer[:2]
    host = host.removeprefix("::ffff:") if "." in host else host
    return str(Address(host, port))


def bound_socket(address: Address, kind: socket.SocketKind) -> socket.socket:
    """A non-blocking socket at ``address``, listening if it is of TCP. Raises ``OSError``."""
    family, _, _, _, place = socket.getaddrinfo(address.host, address.port, type=kind, flags=socket.AI_PASSIVE)[0]
    made = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind(place)
        if kind == socket.SOCK_STREAM:
            made.listen(1024)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made
