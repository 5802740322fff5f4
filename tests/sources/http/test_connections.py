"""The protocol, clients that are slow or rude, limits, and clean stops."""

from __future__ import annotations

import threading
import time

import pytest
from posting import JSON, read_answer

from ingest.environment import Environment
from ingest.errors import SystemUnavailable
from ingest.failpoints import FailPoints

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
EVENT = HEAD + b'Content-Length: 7\r\n\r\n{"a":1}'


def status(answer):
    return int(answer.split(b" ", 2)[1])


def it_has_read_what_was_sent(web):
    """It reads connections in turn: who is accepted later has his answer later."""
    assert web.post("no event").status == 400


def test_a_connection_takes_many_requests(posting):
    web = posting()
    with web.socket() as connection:
        for _ in range(3):
            connection.sendall(EVENT)
            assert status(connection.recv(65536)) == 202
    assert len(web.values()) == 3


def test_requests_without_waiting_are_answered_in_order(posting):
    web = posting()
    with web.socket() as connection:
        requests = [HEAD + b'Content-Length: 7\r\n\r\n{"a":%d}' % n for n in range(10)]
        connection.sendall(b"".join(requests) + HEAD.replace(b"POST", b"GET") + b"\r\n")
        answer = read_answer(connection)
    assert [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]] == [202] * 10 + [405]
    assert web.values() == [b'{"a":%d}' % n for n in range(10)]


def test_chunked_bodies_and_expectations(posting):
    web = posting()
    with web.socket() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        for piece in (b'3\r\n{"a\r\n', b'4;x=y\r\n":1}\r\n', b"0\r\n\r\n"):
            connection.sendall(piece)
        assert status(connection.recv(65536)) == 202
    assert web.values() == [b'{"a":1}']


def test_a_client_that_asks_for_it_is_let_go(posting):
    web = posting()
    with web.socket() as connection:
        connection.sendall(EVENT.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        answer = read_answer(connection)
    assert b"Connection: close\r\n" in answer
    assert status(answer) == 202


def test_a_client_may_close_its_side_and_still_gets_the_answer(posting):
    web = posting()
    with web.socket() as connection:
        connection.sendall(EVENT)
        connection.shutdown(1)
        assert status(read_answer(connection)) == 202


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST / HTTP/9.9\r\n\r\n", 400),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 7\r\n\r\n", 400),
        (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: 5000\r\n\r\n", 413),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nfff\r\n" + b"x" * 0xFFF + b"\r\n", 413),
        (HEAD + b"X: " + b"y" * 3000, 431),
        (HEAD + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n", 431),
        (HEAD + b"Upgrade: websocket\r\nConnection: upgrade\r\n\r\n", 501),
    ],
)
def test_what_is_no_good_request_is_answered_and_ends_the_connection(shared_posting, sent, expected):
    web = shared_posting(limits={"body": 2000, "header": 2500})
    with web.socket() as connection:
        connection.sendall(sent)
        assert status(read_answer(connection)) == expected
    assert web.post("{}").status == 202


def test_half_a_request_is_answered_when_its_time_is_over(posting):
    web = posting(limits={"request_time": 300, "idle_time": 300})
    with web.socket() as slow_head, web.socket() as slow_body, web.socket() as idle:
        slow_head.sendall(b"POST / HT")
        slow_body.sendall(EVENT[:-2])
        assert web.post("{}").status == 202
        assert status(read_answer(slow_head)) == 408
        assert status(read_answer(slow_body)) == 408
        assert read_answer(idle) == b""
    assert web.values() == [b"{}"]


def test_bodies_that_come_slowly_give_way_to_others(posting):
    web = posting(limits={"receiving": 20_000, "body": 15_000})
    slow = [web.socket() for _ in range(3)]
    for connection in slow:
        # in this order: the third is one too many, and the first gives way
        connection.sendall(HEAD + b"Content-Length: 10000\r\n\r\n" + b" " * 9_000)
        it_has_read_what_was_sent(web)
    assert status(slow[0].recv(65536)) == 503
    assert web.post("[" + "{}," * 2000 + "{}]").json["count"] == 2001
    slow[2].sendall(b" " * 998 + b"{}")
    assert status(slow[2].recv(65536)) == 202
    for connection in slow:
        connection.close()


def test_connections_have_a_limit(posting):
    web = posting(limits={"connections_per_address": 2})
    with web.socket() as first, web.socket() as second, web.socket() as third:
        first.sendall(EVENT)
        assert status(first.recv(65536)) == 202
        second.sendall(EVENT)
        assert status(second.recv(65536)) == 202
        assert _is_closed(third)
    assert _eventually(lambda: web.post("{}").status == 202)


def _is_closed(connection):
    try:
        return connection.recv(10) == b""
    except ConnectionResetError:
        return True


def _eventually(check):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if check():
                return True
        except OSError:
            pass
    return False


# -- the hub


class HeldBack:
    """The source's loop stands still at a fail point until it is let go."""

    def __init__(self, point="source.polled"):
        self.fail = FailPoints()
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.fail.arm(point, self._wait)

    def _wait(self):
        self.reached.set()
        assert self.go_on.wait(20)


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    return thread, found


def test_a_full_hub_is_said_to_be_busy_and_nothing_is_dropped(posting):
    held = HeldBack()
    web = posting({"environment": Environment(fail=held.fail)}, limits={"waiting": 1000})
    body = '{"x": "' + "x" * 600 + '"}'
    first, answers = in_thread(lambda: web.post(body))
    assert held.reached.wait(20)
    refused = web.post(body)
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    held.go_on.set()
    first.join(20)
    assert answers[0].status == 202
    assert web.post(body).status == 202
    assert len(web.values()) == 2


def test_a_clean_stop_finishes_what_was_accepted(posting):
    held = HeldBack()
    web = posting({"environment": Environment(fail=held.fail)})
    first, answers = in_thread(lambda: web.post('{"n":1}'))
    assert held.reached.wait(20)
    with web.socket() as second, web.socket() as half:
        second.sendall(EVENT)
        half.sendall(EVENT[:-3])
        it_has_read_what_was_sent(web)
        web.worker.stop()
        held.go_on.set()
        web.thread.join(20)
        assert status(read_answer(half)) == 503
        assert status(read_answer(second)) == 202
    first.join(20)
    assert answers[0].status == 202
    assert web.outcome.state == "stopped"
    assert web.values() == [b'{"n":1}', b'{"a":1}']
    with pytest.raises(OSError):
        web.socket()


def test_a_failure_is_answered_and_the_port_stays_open(posting):
    fail = FailPoints()
    web = posting({"environment": Environment(fail=fail)})

    def break_down():
        raise SystemUnavailable("for a moment")

    fail.arm("source.transformed", break_down)
    with web.socket() as connection:
        connection.sendall(EVENT)
        assert status(connection.recv(65536)) == 503
        assert _eventually(lambda: web.post('{"b":1}').status == 202)
        connection.sendall(EVENT)
        assert status(connection.recv(65536)) == 202
    assert web.values() == [b'{"b":1}', b'{"a":1}']


def test_a_port_that_is_taken_is_an_error_that_names_it(posting, tmp_path):
    from ingest.connectors import SourceContext
    from ingest.sources.http.connector import HttpSource

    web = posting()
    other = HttpSource(HttpSource.Settings(listen=f"127.0.0.1:{web.port}"))
    task = other.tasks(1)[0]
    with pytest.raises(SystemUnavailable, match=str(web.port)):
        task.open(SourceContext("s", tmp_path, Environment()), {})
    task.close()
    assert web.post("{}", JSON).status == 202
