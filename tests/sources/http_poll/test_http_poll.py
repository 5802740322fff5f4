"""What a JSON API may do to the one who asks it, and what comes of it."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from web_server import Asked, Reply, WebServer

from ingest.clock import SystemClock
from ingest.connectors import EndOfInput, Position, SourceContext
from ingest.environment import Environment
from ingest.errors import ConnectorError, SystemUnavailable
from ingest.http_client.client import HttpClient, Request
from ingest.sources.http_poll.connector import HttpPollSettings, HttpPollSource
from ingest.sources.http_poll.json_records import NotThere, records_at


class Polling:
    """A source on a server; what a round brings is committed."""

    def __init__(self, answer: Callable[[Asked], Reply], **settings: Any) -> None:
        self.server = WebServer(answer)
        self.settings = HttpPollSettings(url=f"{self.server.url}/rows", **settings)
        self.positions: dict[str, Position] = {}
        self.texts: list[str] = []
        self.reports: list[str] = []

    def __enter__(self) -> Polling:
        self.server.__enter__()
        return self

    def __exit__(self, *failure: object) -> None:
        self.server.__exit__()

    @property
    def asked(self) -> list[Asked]:
        return self.server.asked

    def round(self) -> list[str]:
        """What a run until caught up brings, which is one round."""
        before = len(self.texts)
        task = HttpPollSource(self.settings).tasks(1)[0]
        environment = Environment()
        task.open(
            SourceContext("api", Path(), environment, until_caught_up=True, report=self.reports.append), self.positions
        )
        try:
            while True:
                polled = task.poll()
                if polled is not None:
                    self.texts += [text for records in polled.records for text in records.value.to_pylist()]
                    self.positions = json.loads(json.dumps(polled.positions))
        except EndOfInput:
            return self.texts[before:]
        finally:
            task.close()


def body(value: Any, **headers: str) -> Reply:
    return Reply(json.dumps(value).encode(), headers=headers)


# -- what the records are


def test_records_are_the_text_that_was_sent() -> None:
    text = b'{"a": {"items": [ {"id": 123456789012345678901234567890, "x": 1.10} ,\n"text", [1], null]}, "b": 1}'
    with Polling(lambda asked: Reply(text), records="a.items") as polling:
        expected = ['{"id": 123456789012345678901234567890, "x": 1.10}', '"text"', "[1]", "null"]
        assert polling.round() == expected


@pytest.mark.parametrize("text", ['{"a": 1}', '{"b": []}', "[]", '"a"'])
def test_a_list_that_is_not_where_it_should_be_is_told(text: str) -> None:
    with pytest.raises(NotThere):
        records_at(text, "a")
    with (
        Polling(lambda asked: Reply(text.encode()), records="a") as polling,
        pytest.raises(ConnectorError, match=r"list|there is no"),
    ):
        polling.round()


def test_null_is_an_empty_list_and_the_last_of_equal_names_counts() -> None:
    assert records_at('{"a": null}', "a") == []
    assert records_at('{"a": 1, "a": [2]}', "a") == [("2", 2)]


# -- what has not changed is not delivered again


def test_an_unchanged_resource_is_asked_for_by_its_tag() -> None:
    def answer(asked: Asked) -> Reply:
        if asked.headers.get("if-none-match") == '"v1"':
            return Reply(status=304)
        return body([1, 2], ETag='"v1"')

    with Polling(answer) as polling:
        assert polling.round() == ["1", "2"]
        assert polling.round() == []
        assert [asked.headers.get("if-none-match") for asked in polling.asked] == [None, '"v1"']


def test_a_last_modified_date_serves_as_well() -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"

    def answer(asked: Asked) -> Reply:
        known = asked.headers.get("if-modified-since") == date
        return Reply(status=304) if known else body([1], **{"Last-Modified": date})

    with Polling(answer) as polling:
        assert (polling.round(), polling.round()) == (["1"], [])


def test_a_tag_that_changes_for_the_same_content_repeats_nothing() -> None:
    tags = iter(range(100))
    with Polling(lambda asked: body([1, 2], ETag=f'"{next(tags)}"')) as polling:
        assert (polling.round(), polling.round()) == (["1", "2"], [])


def test_a_resource_that_has_changed_is_delivered_whole() -> None:
    contents = iter([[1, 2], [1, 2, 3]])
    with Polling(lambda asked: body(next(contents))) as polling:
        assert (polling.round(), polling.round()) == (["1", "2"], ["1", "2", "3"])


def test_a_list_that_grows_within_its_last_page_is_read_on() -> None:
    rows = [1, 2, 3]

    def answer(asked: Asked) -> Reply:
        begin = (int(asked.query["page"]) - 1) * 2
        return body(rows[begin : begin + int(asked.query["per_page"])])

    with Polling(answer, pages={"type": "page", "size": 2, "size_param": "per_page"}) as polling:
        assert polling.round() == ["1", "2", "3"]
        rows += [4, 5]
        assert polling.round() == ["4", "5"]
        assert polling.asked[-1].query == {"page": "3", "per_page": "2"}


def test_the_tag_of_one_page_is_not_asked_for_at_another() -> None:
    rows = [1]

    def answer(asked: Asked) -> Reply:
        begin = (int(asked.query["page"]) - 1) * 2
        known = "if-none-match" in asked.headers and len(rows[begin:]) < 2
        return Reply(status=304) if known else body(rows[begin : begin + 2], ETag='"one for all"')

    with Polling(answer, pages={"type": "page", "size": 2}) as polling:
        assert polling.round() == ["1"]
        rows += [2, 3]
        assert polling.round() == ["2", "3"]


# -- since


def test_only_what_is_newer_is_asked_for_and_equal_values_are_told_apart() -> None:
    rows = [{"id": 1, "at": "2026-01-01"}, {"id": 2, "at": "2026-01-02"}]

    def answer(asked: Asked) -> Reply:
        return body([row for row in rows if row["at"] >= asked.query["since"]])

    with Polling(answer, since={"param": "since", "field": "at", "start": "2025-01-01"}) as polling:
        assert len(polling.round()) == 2
        rows.append({"id": 3, "at": "2026-01-02"})
        assert [json.loads(text)["id"] for text in polling.round()] == [3]
        assert polling.asked[-1].query == {"since": "2026-01-02"}
        assert polling.round() == []


def test_rounds_of_several_pages_keep_their_since() -> None:
    rows = [{"at": number} for number in range(5)]

    def answer(asked: Asked) -> Reply:
        found = [row for row in rows if row["at"] >= int(asked.query.get("since", 0))]
        return body(found[int(asked.query["offset"]) :][:2])

    with Polling(answer, since={"param": "since", "field": "at"}, pages={"type": "offset"}) as polling:
        assert len(polling.round()) == 5
        assert {asked.query.get("since") for asked in polling.asked} == {None}
        rows.append({"at": 5})
        assert polling.round() == ['{"at": 5}']


def test_values_without_an_order_are_an_error() -> None:
    with (
        Polling(lambda asked: body([{"at": 1}, {"at": "x"}]), since={"param": "since", "field": "at"}) as polling,
        pytest.raises(ConnectorError, match="no order"),
    ):
        polling.round()


# -- trouble


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b"oops", 500),
        Reply(b"", 502),
        Reply(b"[1, 2, 3]", cut=4),
        Reply(b"[1, 2,"),
        Reply(b"<html>Please log in</html>"),
        Reply(b"[NaN]"),
        Reply(b"\xff\xfe[1]"),
        Reply(b"[" * 100_000),
    ],
)
def test_trouble_that_passes_is_retriable_and_loses_nothing(reply: Reply) -> None:
    replies = iter([body([1, 2]), reply, body([1, 2, 3])])
    with Polling(lambda asked: next(replies), pages={"type": "page", "size": 9}) as polling:
        assert polling.round() == ["1", "2"]
        with pytest.raises(SystemUnavailable):
            polling.round()
        assert polling.round() == ["3"]


def test_no_server_and_no_answer_in_time_are_retriable() -> None:
    with Polling(lambda asked: body([])) as polling:
        pass
    with pytest.raises(SystemUnavailable, match="no connection"):
        polling.round()
    released = threading.Event()

    def slow(asked: Asked) -> Reply:
        released.wait(20)
        return body([])

    with Polling(slow, timeout="200ms") as polling:
        with pytest.raises(SystemUnavailable, match="in time"):
            polling.round()
        released.set()


@pytest.mark.parametrize(
    "begin", [b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n[", b"HTTP/1.1 200 OK\r\nX-Long: "]
)
def test_an_answer_that_drips_is_given_up(begin: bytes) -> None:
    """Each byte comes in time, and the whole never does."""
    over = threading.Event()

    def drip(listening: socket.socket) -> None:
        made, _ = listening.accept()
        with made, suppress(OSError):
            made.recv(65_536)
            made.sendall(begin)
            while not over.wait(0.05):
                made.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening,))
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        client = HttpClient(url, SystemClock(), timeout_ms=400, most_bytes=1 << 20)
        asked = client.begin(Request("GET", url, {}))
        with pytest.raises(SystemUnavailable, match=r"did not end|no whole answer"):
            while client.answer(asked, 100) is None:
                pass
        over.set()
        thread.join(5)
        client.close()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 301])
def test_refusals_stop_the_source(status: int) -> None:
    reply = Reply(b"no such thing", status, {"Location": "https://elsewhere.example/rows?token=1"})
    with Polling(lambda asked: reply) as polling, pytest.raises(ConnectorError, match=f"answers {status}"):
        polling.round()


@pytest.mark.parametrize(
    ("status", "headers"), [(429, {"Retry-After": "0"}), (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})]
)
def test_a_busy_server_is_asked_again_when_it_says(status: int, headers: dict[str, str]) -> None:
    replies = iter([Reply(b"", status, headers), Reply(b"", status, headers), body([1])])
    with Polling(lambda asked: next(replies)) as polling:
        assert polling.round() == ["1"]
        assert "busy" in polling.reports[0]


def test_a_server_that_is_busy_for_too_long_is_given_up_for_now() -> None:
    with (
        Polling(lambda asked: Reply(b"", 429, {"Retry-After": "3600"}), max_wait="1m") as polling,
        pytest.raises(SystemUnavailable, match="3600 s"),
    ):
        polling.round()


def test_pages_that_go_in_a_circle_are_an_error() -> None:
    def answer(asked: Asked) -> Reply:
        return body({"items": [1], "next": "b" if asked.query.get("cursor") == "a" else "a"})

    with (
        Polling(answer, records="items", pages={"type": "cursor", "path": "next"}) as polling,
        pytest.raises(ConnectorError, match="circle"),
    ):
        polling.round()


def test_pages_without_end_end_the_round_and_the_next_one_goes_on() -> None:
    def answer(asked: Asked) -> Reply:
        begin = int(asked.query.get("cursor", 0))
        return body({"items": [begin], "next": begin + 1})

    with Polling(answer, records="items", pages={"type": "cursor", "path": "next"}, max_pages=3) as polling:
        assert (polling.round(), polling.round()) == (["0", "1", "2"], ["3", "4", "5"])


def test_a_feed_that_always_has_another_cursor_is_over_at_an_empty_page() -> None:
    cursors = iter(range(100))
    with Polling(
        lambda asked: body({"items": [], "next": next(cursors)}),
        records="items",
        pages={"type": "cursor", "path": "next"},
    ) as polling:
        assert (polling.round(), polling.round()) == ([], [])
        assert polling.asked[-1].query == {"cursor": "0"}


def test_a_next_page_on_another_server_is_not_asked() -> None:
    reply = body({"items": [1], "next": "https://evil.example/rows"})
    with (
        Polling(lambda asked: reply, records="items", pages={"type": "next", "path": "next"}) as polling,
        pytest.raises(ConnectorError, match="another server"),
    ):
        polling.round()


@pytest.mark.parametrize(
    "reply",
    [Reply(b" " * 5_000), Reply(gzip.compress(b" " * 5_000_000), headers={"Content-Encoding": "gzip"})],
    ids=["plain", "packed"],
)
def test_an_answer_that_is_too_large_is_an_error(reply: Reply) -> None:
    with Polling(lambda asked: reply, max_body="4KiB") as polling, pytest.raises(ConnectorError, match="larger"):
        polling.round()


# -- who asks


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        ({"type": "bearer", "secret": "t0ken"}, "authorization", "Bearer t0ken"),
        ({"type": "basic", "secret": "me:pass"}, "authorization", "Basic bWU6cGFzcw=="),
        ({"type": "header", "name": "X-Key", "secret": "t0ken"}, "x-key", "t0ken"),
    ],
)
def test_requests_say_who_asks(auth: dict[str, str], name: str, value: str) -> None:
    with Polling(lambda asked: body([]), auth=auth, headers={"X-Other": "1"}, params={"q": "a b"}) as polling:
        polling.round()
        assert polling.asked[0].headers[name] == value
        assert polling.asked[0].headers["x-other"] == "1"
        assert polling.asked[0].query == {"q": "a b"}


def test_a_secret_in_the_url_is_in_no_position_and_in_no_error() -> None:
    def answer(asked: Asked) -> Reply:
        if asked.query.get("from"):
            return Reply(b"", 500)
        return body({"items": [1], "next": "/rows?from=1&key=hush"})

    auth = {"type": "query", "name": "key", "secret": "hush"}
    with Polling(answer, records="items", pages={"type": "next", "path": "next"}, auth=auth) as polling:
        with pytest.raises(SystemUnavailable) as failure:
            polling.round()
        assert [asked.query["key"] for asked in polling.asked] == ["hush", "hush"]
        assert "hush" not in f"{failure.value} {polling.positions} {polling.settings!r}"


def test_a_question_may_be_posted() -> None:
    with Polling(lambda asked: body([json.loads(asked.body)]), method="POST", body='{"query": 1}') as polling:
        assert polling.round() == ['{"query": 1}']
        assert polling.asked[0].headers["content-type"] == "application/json"


def test_a_stop_does_not_wait_for_an_answer() -> None:
    released, stopping = threading.Event(), threading.Event()

    def slow(asked: Asked) -> Reply:
        stopping.set()
        released.wait(20)
        return body([])

    with Polling(slow) as polling:
        task = HttpPollSource(polling.settings).tasks(1)[0]
        task.open(SourceContext("api", Path(), Environment(), stopping=stopping), {})
        while not stopping.is_set():
            task.poll()
        thread = threading.Thread(target=lambda: (task.poll(), task.close()))
        thread.start()
        thread.join(5)
        assert not thread.is_alive()
        released.set()


def test_a_check_tells_of_refused_credentials() -> None:
    with Polling(lambda asked: Reply(b"", 401)) as polling, pytest.raises(ConnectorError, match="401"):
        HttpPollSource(polling.settings).check(Path())


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://example.com"},
        {"url": "https://user:secret@example.com"},
        {"pages": {"type": "page"}},
        {"pages": {"type": "cursor"}},
        {"pages": {"type": "page", "size": 1, "path": "x"}},
        {"body": "{}"},
        {"auth": {"type": "bearer"}},
        {"auth": {"type": "basic", "secret": "x"}},
        {"auth": {"type": "header", "secret": "x"}},
    ],
)
def test_settings_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HttpPollSettings(**{"url": "https://example.com"} | wrong)
