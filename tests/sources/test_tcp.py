"""Lines over TCP: whole, in order, with back-pressure, whatever senders do."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
from listeners import PATIENCE_S, Listener
from pydantic import ValidationError

from ingest.connectors import EndOfInput, SourceContext
from ingest.environment import Environment
from ingest.errors import SystemUnavailable
from ingest.sources.tcp import TcpSettings, TcpSource


def listener(batch_bytes: int = 1 << 20, **settings: Any) -> Listener:
    return Listener(TcpSource(TcpSettings(**{"listen": "127.0.0.1:0"} | settings)), batch_bytes=batch_bytes)


def test_each_line_is_a_record_with_its_sender_and_time() -> None:
    with listener() as source, source.connect() as sender:
        sender.sendall(b"one\r\ntwo\n\nfour\n")
        assert source.messages(4) == ["one", "two", "", "four"]
        host, port = sender.getsockname()
        assert {headers["ingest.peer"] for headers in source.headers} == {f"{host}:{port}".encode()}
        assert source.headers[0]["ingest.received"].endswith(b"Z")


def test_a_line_may_come_byte_by_byte() -> None:
    with listener() as source, source.connect() as sender:
        for byte in b"gr\xc3\xbcn\n":
            sender.sendall(bytes([byte]))
        assert source.messages(1) == ["grün"]


def test_the_end_of_a_connection_ends_its_last_line() -> None:
    with listener() as source:
        with source.connect() as sender:
            sender.sendall(b"whole\nlast")
        assert source.messages(2) == ["whole", "last"]


def test_a_line_that_a_broken_connection_left_is_a_dead_letter() -> None:
    with listener() as source:
        sender = source.connect()
        sender.sendall(b"whole\nhal")
        source.messages(1)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sender.close()
        source.until(lambda: source.dead)
        assert source.dead_bytes == [b"hal"]
        assert "broke" in source.reasons[0]


def test_a_line_in_another_encoding_is_a_dead_letter_and_its_neighbours_go_on() -> None:
    with listener() as source, source.connect() as sender:
        sender.sendall(b"one\nb\xe4d\ntwo\n")
        assert source.messages(2) == ["one", "two"]
        assert source.dead_bytes == [b"b\xe4d"]


@pytest.mark.parametrize(("undecodable", "value"), [("replace", "b\ufffdd"), ("bytes", b"b\xe4d")])
def test_undecodable_lines_may_go_on(undecodable: str, value: object) -> None:
    with listener(undecodable=undecodable) as source, source.connect() as sender:
        sender.sendall(b"b\xe4d\n")
        assert source.messages(1) == [value]


def test_lines_may_be_latin_1_or_end_with_nul() -> None:
    with listener(encoding="latin-1", delimiter="nul") as source, source.connect() as sender:
        sender.sendall(b"b\xe4d\nstill\0next\0")
        assert source.messages(2) == ["bäd\nstill", "next"]


def test_long_lines_become_dead_letters_in_pieces_or_are_split() -> None:
    line = b"x" * 1_200
    with listener(max_message=512) as source, source.connect() as sender:
        sender.sendall(b"a\n" + line + b"\nb\n")
        assert source.messages(2) == ["a", "b"]
        assert b"".join(source.dead_bytes) == line
        assert max(map(len, source.dead_bytes)) == 512
    with listener(max_message=512, long_messages="split") as source, source.connect() as sender:
        sender.sendall(line + b"\nb\n")
        assert [len(text) for text in source.messages(4)] == [512, 512, 176, 1]


def test_a_sender_waits_while_the_queue_is_full_and_nothing_is_lost() -> None:
    lines = [f"{number:05} {'x' * 1000}" for number in range(10_000)]
    with listener(queue="64KiB", batch_bytes=64 * 1024) as source:
        sender = source.connect()
        sending = threading.Thread(target=sender.sendall, args=("".join(f"{line}\n" for line in lines).encode(),))
        sending.start()
        sending.join(1)
        assert sending.is_alive(), "10 MB went somewhere"
        assert source.task.lag()["bytes"] < 3_000_000
        assert source.messages(len(lines)) == lines
        sending.join(PATIENCE_S)
        sender.close()


def test_a_failed_attempt_loses_nothing_and_repeats_nothing() -> None:
    with listener(batch_bytes=1_000) as source, source.connect() as sender:
        sender.sendall(b"".join(b"%04d\n" % number for number in range(100)))
        source.poll()
        committed = len(source.texts)
        assert 0 < committed < 100
        assert source.task.poll() is not None  # the hub never gets this one
        source.fail_and_reopen()
        sender.sendall(b"last\n")
        assert source.messages(101) == [f"{number:04}" for number in range(100)] + ["last"]


def test_what_was_committed_without_the_task_knowing_is_not_repeated() -> None:
    with listener() as source, source.connect() as sender:
        sender.sendall(b"one\n")
        source.until(lambda: source.task._reception.inbox.arrived.is_set() or source.texts)
        if not source.texts:
            polled = source.task.poll()
            assert polled is not None
            source.records += polled.records
            source.positions.update(polled.positions)  # type: ignore[arg-type]  # none is None
        source.fail_and_reopen()
        sender.sendall(b"two\n")
        assert source.messages(2) == ["one", "two"]


def test_a_stop_takes_in_what_was_sent() -> None:
    with listener() as source, source.connect() as sender:
        sender.sendall(b"line\n" * 50_000)
        source.messages(1)
        source.stop()
        assert len(source.texts) == 50_000
        assert sender.recv(1) == b"", "the sender is told to send no more"


def test_it_does_not_listen_until_caught_up() -> None:
    task = TcpSource(TcpSettings(listen="127.0.0.1:0")).tasks(1)[0]
    task.open(SourceContext("net", Path(), Environment(), until_caught_up=True), {})
    with pytest.raises(EndOfInput):
        task.poll()
    task.close()


def test_too_many_connections_are_refused_and_reported() -> None:
    with listener(connections=1) as source, source.connect() as first:
        first.sendall(b"one\n")
        source.messages(1)
        with source.connect() as second:
            assert second.recv(1) == b""
        source.until(lambda: source.reports)
        assert "more than 1 connections" in source.reports[0]
        first.sendall(b"two\n")
        assert source.messages(2) == ["one", "two"]


def test_an_address_that_is_not_allowed_is_refused_and_reported() -> None:
    with listener(allow_from=["10.0.0.0/8"]) as source, source.connect() as sender:
        assert sender.recv(1) == b""
        source.until(lambda: source.reports)
        assert "not allowed" in source.reports[0]


def test_an_idle_connection_is_closed() -> None:
    with listener(idle="1s") as source, source.connect() as sender:
        sender.sendall(b"one\n")
        source.until(lambda: source.reports)
        assert source.texts == ["one"]
        assert sender.recv(1) == b""
        assert "idle" in source.reports[0]


def test_a_port_that_is_taken_is_tried_again() -> None:
    with listener() as source:
        taken = TcpSource(TcpSettings(listen="{}:{}".format(*source.address)))
        with pytest.raises(SystemUnavailable, match="in use"):
            taken.tasks(1)[0].open(SourceContext("net", Path(), Environment()), {})


@pytest.mark.parametrize("listen", ["0.0.0.0:5514", "[::]:5514", "logs.example.com:5514"])
def test_an_open_door_must_be_meant(listen: str) -> None:
    with pytest.raises(ValidationError, match="say who may send"):
        TcpSettings(listen=listen)
    TcpSettings(listen=listen, allow_anonymous=True)
    TcpSettings(listen=listen, allow_from=["192.168.0.0/16"])


@pytest.mark.parametrize("listen", ["5514", "127.0.0.1", "127.0.0.1:70000", "::1:5514"])
def test_an_address_has_a_host_and_a_port(listen: str) -> None:
    with pytest.raises(ValidationError, match="HOST:PORT"):
        TcpSettings(listen=listen)
