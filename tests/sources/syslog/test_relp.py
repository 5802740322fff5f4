"""RELP: acknowledged when the hub has it, and not before."""

from __future__ import annotations

import socket
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listeners import PATIENCE_S, Listener

from ingest.clock import SystemClock
from ingest.sources.listening.address import AllowList
from ingest.sources.listening.intake import Intake
from ingest.sources.messages.cut import FramingLost, LongMessages
from ingest.sources.messages.inbox import Inbox
from ingest.sources.messages.notices import Notices
from ingest.sources.syslog.connector import SyslogSettings, SyslogSource
from ingest.sources.syslog.relp import RelpConnection

OPEN = b"1 open 46 relp_version=0\nrelp_software=x\ncommands=syslog\n"


def listener(**settings: Any) -> Listener:
    return Listener(SyslogSource(SyslogSettings(listen="127.0.0.1:0", protocol="relp", **settings)))


def read(sender: socket.socket, ends: bytes) -> bytes:
    """What the server answers, up to ``ends``."""
    found = b""
    while not found.endswith(ends):
        more = sender.recv(65_536)
        assert more, found
        found += more
    return found


def opened(source: Listener) -> socket.socket:
    sender = source.connect()
    sender.sendall(OPEN)
    answer = read(sender, b"commands=syslog\n")
    assert answer == b"1 rsp 58 200 OK\nrelp_version=0\nrelp_software=ingest\ncommands=syslog\n"
    return sender


def test_a_message_is_acknowledged_once_it_is_committed() -> None:
    with listener() as source, opened(source) as sender:
        sender.sendall(b"2 syslog 6 <1>one\n3 syslog 6 <1>two\n")
        polled = None
        while polled is None:
            polled = source.task.poll()
        sender.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sender.recv(1)
        sender.settimeout(PATIENCE_S)
        source.commit(polled)
        source.messages(2)
        assert read(sender, b"3 rsp 6 200 OK\n").startswith(b"2 rsp 6 200 OK\n")
        assert source.texts == ["<1>one", "<1>two"]


def test_a_sender_that_closes_is_answered_after_its_last_message() -> None:
    with listener() as source, opened(source) as sender:
        sender.sendall(b"2 syslog 6 <1>one\n3 close 0\n")
        source.messages(1)
        assert read(sender, b"serverclose 0\n") == b"2 rsp 6 200 OK\n3 rsp 0\n0 serverclose 0\n"
        assert sender.recv(1) == b""


def test_a_stop_acknowledges_what_was_taken_and_says_goodbye() -> None:
    with listener() as source, opened(source) as sender:
        sender.sendall(b"2 syslog 6 <1>one\n")
        assert source.task._reception.inbox.arrived.wait(PATIENCE_S)
        source.stop()
        assert read(sender, b"serverclose 0\n") == b"2 rsp 6 200 OK\n0 serverclose 0\n"
        assert source.texts == ["<1>one"]


def test_what_failed_to_commit_is_taken_again_and_acknowledged_once() -> None:
    with listener() as source, opened(source) as sender:
        sender.sendall(b"2 syslog 6 <1>one\n")
        while source.task.poll() is None:
            pass
        source.fail_and_reopen()
        assert source.messages(1) == ["<1>one"]
        assert read(sender, b"200 OK\n") == b"2 rsp 6 200 OK\n"


def test_half_a_message_of_a_lost_connection_is_left_to_be_sent_again() -> None:
    with listener() as source:
        with opened(source) as sender:
            sender.sendall(b"2 syslog 6 <1>one\n3 syslog 100 <1>ha")
            source.messages(1)
        with opened(source) as sender:
            sender.sendall(b"2 syslog 7 <1>half\n")
            assert source.messages(2) == ["<1>one", "<1>half"]
            assert not source.dead


def test_a_long_message_is_acknowledged_when_all_of_it_is_kept() -> None:
    message = b"<1>" + b"x" * 5_000
    with listener(max_message=512) as source, opened(source) as sender:
        sender.sendall(b"2 syslog %d %b\n3 syslog 6 <1>two\n" % (len(message), message))
        source.messages(1)
        assert read(sender, b"3 rsp 6 200 OK\n").startswith(b"2 rsp 6 200 OK\n")
        assert b"".join(source.dead_bytes) == message


@pytest.mark.parametrize(
    "wrong",
    [
        b"GET / HTTP/1.1\r\n",
        b"2 syslog 6 <1>one\n",  # before it was opened
        b"1 open 22 commands=starttls,gssa\n",
        OPEN + b"2 syslog 6 <1>one and more\n",
        OPEN + b"2 dance 0\n",
        OPEN + b"2 open 99999999 x",
    ],
)
def test_what_is_no_relp_is_closed_and_reported(wrong: bytes) -> None:
    with listener() as source, source.connect() as sender:
        sender.sendall(wrong)
        while sender.recv(65_536):
            pass
        source.until(lambda: source.reports)
        assert source.texts == []


def connection() -> tuple[RelpConnection, Inbox]:
    inbox = Inbox(1 << 20)
    inbox.resume(0)
    notices = Notices(SystemClock(), lambda sentence: None)
    intake = Intake(inbox, AllowList([]), notices, SystemClock())
    made = RelpConnection("peer", lambda lost: None, intake, LongMessages(64, split=True), lambda inside: inside)
    return made, inbox


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=8), st.lists(st.integers(0, 800), max_size=10))
def test_frames_are_found_however_they_are_cut(sent: list[bytes], cuts: list[int]) -> None:
    sent = [b"<" + message.rstrip(b"\n") for message in sent]
    stream = OPEN + b"".join(b"%d syslog %d %b\n" % (at + 2, len(each), each) for at, each in enumerate(sent))
    made, inbox = connection()
    places = [0, *sorted(min(place, len(stream)) for place in cuts), len(stream)]
    for begin, end in pairwise(places):
        made.receive(stream[begin:end])
    found = b"".join(message for arrival in inbox.take(1 << 30) for message in arrival.messages)
    assert found == b"".join(sent)
    assert made._unanswered in (0, len(sent))


@given(st.binary(max_size=300))
def test_no_bytes_break_it(stream: bytes) -> None:
    made, inbox = connection()
    with suppress(FramingLost):
        made.receive(OPEN + stream)
    messages = [message for arrival in inbox.take(1 << 30) for message in arrival.messages]
    assert all(message in stream for message in messages)
    assert sum(map(len, messages)) <= len(stream)
