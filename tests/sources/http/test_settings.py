"""What the file may say, and what is refused before anything listens."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ingest.sources.http.connector import HttpSource

TOKEN = {"type": "bearer", "secret": "t"}


def settings(**values):
    return HttpSource.Settings(**values)


@pytest.mark.parametrize("listen", ["0.0.0.0:80", "[::]:80", "192.168.1.2:80", "example.com:80"])
def test_nobody_listens_beyond_this_machine_without_auth_by_accident(listen):
    with pytest.raises(ValidationError, match="allow_anonymous"):
        settings(listen=listen)
    settings(listen=listen, auth=TOKEN)
    settings(listen=listen, allow_anonymous=True)
    settings(listen=listen, tls={"certificate": "c", "key": "k", "client_authority": "a"})


def test_every_route_needs_auth_then():
    routes = [{"path": "/a", "auth": TOKEN}, {"path": "/b"}]
    with pytest.raises(ValidationError, match="/b"):
        settings(listen="0.0.0.0:80", routes=routes)
    settings(listen="0.0.0.0:80", routes=routes, auth=TOKEN)


@pytest.mark.parametrize("listen", ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "localhost:80"])
def test_this_machine_alone_needs_none(listen):
    settings(listen=listen)


@pytest.mark.parametrize(
    "values",
    [
        {"listen": "8080"},
        {"listen": "127.0.0.1:65536"},
        {"listen": ":80"},
        {"path": "events"},
        {"path": "/{Name}"},
        {"routes": [{"path": "/a", "topic": "{name}"}]},
        {"auth": {"type": "github"}},
        {"auth": {"type": "bearer", "secret": ["a", ""]}},
        {"auth": {"type": "basic", "secret": "anna"}},
        {"allow_from": ["10.0.0.0/33"]},
        {"headers": ["a b"]},
        {"idempotency": {"keys": 0}},
        {"limits": {"body": "2GiB"}},
    ],
)
def test_mistakes_are_found(values):
    with pytest.raises(ValidationError):
        settings(**values)


def test_a_secret_that_cannot_be_one_is_found_when_the_file_is_read():
    from ingest.errors import ConfigError

    with pytest.raises(ConfigError, match="base64"):
        HttpSource(settings(auth={"type": "standard-webhooks", "secret": "whsec_é"}))
