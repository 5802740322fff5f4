"""Addresses of databases: ``postgresql://user:password@host:port/database``, ``mysql://...``, ``sqlite:///file``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from ingest.errors import ConnectorError

Kind = Literal["postgresql", "mysql", "sqlite"]

_KINDS: dict[str, Kind] = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "postgresql+psycopg": "postgresql",
    "mysql": "mysql",
    "mysql+pymysql": "mysql",
    "mariadb": "mysql",
    "mariadb+pymysql": "mysql",
    "sqlite": "sqlite",
}
_PASSWORD = re.compile(r"(?<=://)([^/?#]*?):([^/?#]*)@")
_TLS = {"ssl_ca": "ssl_ca", "ssl_cert": "ssl_cert", "ssl_key": "ssl_key"}
_PARAMETER = re.compile(r"([?&](?:ssl)?password=)[^&#]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """What a URL of a server says; ``parameters`` stand behind its question mark."""

    host: str
    port: int
    user: str
    password: str
    database: str
    parameters: dict[str, str]


def is_known(url: str) -> bool:
    """Whether ``kind_of`` knows it, by its scheme."""
    return url.partition("://")[0].lower() in _KINDS


def kind_of(url: str) -> Kind:
    """Which database it names; raises ``ValueError`` for one that is not known."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValueError("a URL is needed, such as postgresql://user@host/database or sqlite:///file.db")
    kind = _KINDS.get(scheme.lower())
    if kind is None:
        raise ValueError(f"{scheme}:// is not known: postgresql://, mysql://, mariadb:// and sqlite:// are")
    if kind == "sqlite" and len(rest) < 2:
        raise ValueError("sqlite:/// needs the path of a file: sqlite:///relative.db, sqlite:////absolute.db")
    return kind


def masked(url: str) -> str:
    """The URL without its password: for people and logs."""
    return _PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1:***@", url))


def parted(url: str) -> tuple[str, str | None, str | None]:
    """The URL without its user and password, and both as they are meant."""
    scheme, separator, rest = url.partition("://")
    end = min((place for mark in "/?#" if (place := rest.find(mark)) >= 0), default=len(rest))
    login, at, host = rest[:end].rpartition("@")
    user, colon, password = login.partition(":")
    plain = f"{scheme}{separator}{host}{rest[end:]}"
    return plain, unquote(user) if at and user else None, unquote(password) if colon else None


def with_login(url: str, user: str | None, password: str | None) -> str:
    """The URL with a user and a password in place of those that it has, as far as they are given."""
    plain, old_user, old_password = parted(url)
    user, password = user or old_user, old_password if password is None else password
    if (user is None and password is None) or url.startswith("sqlite"):
        return url  # a file asks nobody who they are
    login = quote(user or "", safe="") + ("" if password is None else ":" + quote(password, safe=""))
    return plain.replace("://", f"://{login}@", 1)


def libpq(url: str) -> str:
    """As libpq reads it: without the name of a driver."""
    return "postgresql://" + url.partition("://")[2]


def sqlite_path(url: str, base_folder: Path) -> Path:
    """The file of ``sqlite:///file.db``; a relative one starts at ``base_folder``."""
    return base_folder / unquote(url.partition("://")[2].partition("?")[0][1:])


def server_address(url: str, default_port: int) -> ServerAddress:
    """The parts of the URL of a server, without the percent signs."""
    parts = urlsplit(url)
    return ServerAddress(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or default_port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=unquote(parts.path.lstrip("/")),
        parameters=dict(parse_qsl(parts.query)),
    )


def pymysql_parameters(address: ServerAddress) -> dict[str, Any]:
    """The parameters of the URL, as PyMySQL names them; raises ``ConnectorError`` for one that it has not."""
    found: dict[str, Any] = {}
    for name, value in address.parameters.items():
        if name in _TLS:
            found[_TLS[name]] = value
        elif name == "unix_socket":
            found[name] = value
        elif name == "ssl":
            found |= {"ssl": {"check_hostname": False}} if value in ("true", "1") else {"ssl_disabled": True}
        elif name == "ssl_verify":
            found["ssl_verify_cert"] = found["ssl_verify_identity"] = value in ("true", "1")
        elif name != "charset":
            known = ", ".join([*_TLS, "ssl", "ssl_verify", "unix_socket"])
            raise ConnectorError(f"{name} is no parameter of a mysql:// URL", hint=f"it may have {known}")
    return found
