"""Syslog as rsyslog and others send it."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from listeners import Listener
from needs import needs
from pydantic import ValidationError
from rsyslog import Rsyslog, certificate, needs_rsyslog

from ingest.errors import ConnectorError
from ingest.sources.syslog.connector import SyslogSettings, SyslogSource
from ingest.transforms.parse import Parse

LINES = [f"message {number} of many: grün" for number in range(2_000)]


def listener(folder: Path = Path(), **settings: Any) -> Listener:
    return Listener(SyslogSource(SyslogSettings(**{"listen": "127.0.0.1:0"} | settings)), folder)


def bodies(source: Listener) -> list[str]:
    """The messages without rsyslog's header (it puts a space before them)."""
    return [text.partition("- - - ")[2].strip() for text in source.texts]


def received_from_rsyslog(folder: Path, source: Listener, options: str, settings: str = "") -> list[str]:
    with source:
        action = f'target="127.0.0.1" port="{source.address[1]}" {options}'
        with Rsyslog(folder, action, settings) as sender:
            sender.write(LINES)
            source.messages(len(LINES))
    assert not source.dead
    return bodies(source)


@pytest.mark.parametrize(
    ("protocol", "options"),
    [
        ("udp", 'type="omfwd" protocol="udp"'),
        ("tcp", 'type="omfwd" protocol="tcp"'),
        ("tcp", 'type="omfwd" protocol="tcp" TCP_Framing="octet-counted"'),
        ("relp", 'type="omrelp" windowSize="1000"'),
    ],
)
def test_rsyslog_sends(tmp_path: Path, protocol: str, options: str) -> None:
    needs_rsyslog()
    assert received_from_rsyslog(tmp_path, listener(protocol=protocol), options) == LINES


@pytest.mark.parametrize("framing", ["octet-counted", "traditional"])
def test_rsyslog_sends_over_tls_with_a_certificate(tmp_path: Path, framing: str) -> None:
    needs_rsyslog()
    server, key = certificate(tmp_path)
    client, client_key = certificate(tmp_path, "sender.example")
    tls = {"certificate": server.name, "key": key.name, "client_ca": client.name}
    source = listener(tmp_path, protocol="tcp", tls=tls)
    found = received_from_rsyslog(
        tmp_path,
        source,
        f'type="omfwd" protocol="tcp" TCP_Framing="{framing}" StreamDriver="gtls" StreamDriverMode="1" '
        'StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="localhost"',
        f'defaultNetstreamDriverCAFile="{server}" defaultNetstreamDriverCertFile="{client}" '
        f'defaultNetstreamDriverKeyFile="{client_key}"',
    )
    assert found == LINES
    assert {headers["ingest.peer.name"] for headers in source.headers} == {b"sender.example"}


def test_a_sender_without_a_certificate_is_refused(tmp_path: Path) -> None:
    server, key = certificate(tmp_path)
    tls = {"certificate": server.name, "key": key.name, "client_ca": server.name}
    with listener(tmp_path, protocol="tcp", tls=tls) as source, source.connect() as plain:
        context = ssl.create_default_context(cafile=str(server))
        with context.wrap_socket(plain, server_hostname="localhost") as sender, pytest.raises(OSError):
            while True:  # TLS 1.3 tells the sender after its handshake
                sender.sendall(b"<1>forged\n")
        source.until(lambda: source.reports)
        assert source.texts == []


def test_one_who_does_not_speak_tls_is_refused_and_the_next_is_heard(tmp_path: Path) -> None:
    server, key = certificate(tmp_path)
    source = listener(tmp_path, protocol="tcp", tls={"certificate": server.name, "key": key.name})
    with source, source.connect() as plain:
        plain.sendall(b"<1>plain text\n")
        source.until(lambda: source.reports)
        context = ssl.create_default_context(cafile=str(server))
        with source.connect() as second, context.wrap_socket(second, server_hostname="localhost") as sender:
            sender.sendall(b"<1>in private\n")
            assert source.messages(1) == ["<1>in private"]


@pytest.mark.parametrize(
    ("protocol", "options"), [("udp", ["--udp"]), ("tcp", ["--tcp"]), ("tcp", ["--tcp", "--octet-count"])]
)
def test_logger_sends(protocol: str, options: list[str]) -> None:
    needs(shutil.which("logger"), "logger of util-linux")
    with listener(protocol=protocol) as source:
        host, port = source.address
        subprocess.run(["logger", "--server", host, "--port", str(port), *options, "--tag", "app", "hello"], check=True)
        (text,) = source.messages(1)
    assert text.startswith("<13>1 ")
    assert text.endswith(" hello")


def test_parse_makes_columns_of_what_came(tmp_path: Path) -> None:
    with listener(protocol="udp") as source, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"<165>1 2026-01-31T22:14:15.003Z mymachine evntslog 8 ID47 - An event\n", source.address)
        source.messages(1)
    parsed = Parse(Parse.Settings(format="syslog")).apply(source.records[0], None)
    (row,) = pa.concat_arrays([parsed.records[0].value]).to_pylist()
    assert (row["host"], row["app"], row["severity"], row["message"]) == ("mymachine", "evntslog", 5, "An event")


def test_datagrams_are_messages_of_their_own() -> None:
    with listener(protocol="udp") as source, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in (b"<1>two\nlines\n", b"", b"<1>next\0"):
            sender.sendto(datagram, source.address)
        assert source.messages(2) == ["<1>two\nlines", "<1>next"]


def test_datagrams_that_find_no_room_are_counted_and_reported() -> None:
    with listener(protocol="udp", queue="64KiB") as source, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(20_000):
            sender.sendto(b"<1>%05d " % number + b"x" * 1_000, source.address)
        source.until(lambda: any("were lost" in report for report in source.reports))
        source.stop()
    told = [report for report in source.reports if "were lost" in report]
    lost = int(told[-1].removesuffix(" in all").split()[-1])
    assert lost + len(source.texts) == 20_000


def test_datagrams_from_elsewhere_are_dropped_and_reported() -> None:
    with listener(protocol="udp", allow_from=["10.0.0.0/8"]) as source:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"<1>forged", source.address)
        source.until(lambda: source.reports)
    assert "not allowed" in source.reports[0]
    assert source.texts == []


def test_a_stream_without_counts_where_they_are_due_is_closed_and_kept() -> None:
    with listener(protocol="tcp", framing="octets") as source, source.connect() as sender:
        sender.sendall(b"4 <1>a<1>no count")
        assert sender.recv(1) == b""
        source.until(lambda: source.dead)
        assert (source.texts, source.dead_bytes) == (["<1>a"], [b"<1>no count"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"protocol": "udp", "tls": {"certificate": "a", "key": "b"}},
        {"protocol": "relp", "framing": "lines"},
        {"protocol": "udp", "listen": "0.0.0.0:514"},
    ],
)
def test_settings_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SyslogSettings(**{"listen": "127.0.0.1:0"} | wrong)


def test_a_check_tells_of_missing_certificates(tmp_path: Path) -> None:
    tls = {"certificate": "missing.crt", "key": "missing.key"}
    source = SyslogSource(SyslogSettings(listen="127.0.0.1:0", protocol="tcp", tls=tls))
    with pytest.raises(ConnectorError, match="TLS files"):
        source.check(tmp_path)
    SyslogSource(SyslogSettings(listen="127.0.0.1:0", protocol="tcp")).check(tmp_path)
