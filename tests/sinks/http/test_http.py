"""Rows posted to a receiver that misbehaves: taken once, in order, or kept with the reason."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from lake import delivery, sink_context
from pydantic import ValidationError
from web_server import Asked, Reply, WebServer

from ingest.connectors import Commit, DeadLetter, SinkTask, TopicPartition
from ingest.connectors.testing import SinkContract
from ingest.errors import ConnectorError, RecordRefused, SystemUnavailable
from ingest.sinks.http.connector import HttpSink, HttpSinkSettings
from ingest.sinks.http.posting import REFUSED
from ingest.sinks.http.signing import key_of, signed

PLACE = TopicPartition("events", 0)


class Receiver:
    """Takes rows, drops requests whose key it knows, and answers as it was told before it behaves."""

    def __init__(self, *replies: Reply, bad: str = "\0") -> None:
        self.server = WebServer(self._answer)
        self.replies = list(replies)
        self.bad = bad
        self.rows: list[Any] = []
        self.keys: list[str] = []

    def __enter__(self) -> Receiver:
        self.server.__enter__()
        return self

    def __exit__(self, *failure: object) -> None:
        self.server.__exit__()

    @property
    def asked(self) -> list[Asked]:
        return self.server.asked

    def task(self, **settings: Any) -> SinkTask:
        task = HttpSink(HttpSinkSettings(**{"url": f"{self.server.url}/in"} | settings)).task()
        task.open(sink_context(Path()))
        return task

    def _answer(self, asked: Asked) -> Reply:
        if self.replies:
            reply = self.replies.pop(0)
            if reply.status >= 300:
                return reply
            self._take(asked)
            return reply
        if self.bad in asked.body.decode():
            return Reply(b'{"error": "no such thing"}', 422)
        self._take(asked)
        return Reply(status=204)

    def _take(self, asked: Asked) -> None:
        key = asked.headers["idempotency-key"]
        if key in self.keys:
            return
        self.keys.append(key)
        is_list = asked.headers["content-type"] == "application/json"
        self.rows += json.loads(asked.body) if is_list else [json.loads(line) for line in asked.body.splitlines()]


class TestHttpSink(SinkContract):
    remembers = False

    @pytest.fixture(autouse=True)
    def _receiver(self) -> Iterator[None]:
        with Receiver(bad="poison") as self.receiver:
            yield

    def sink(self, folder: Path) -> HttpSink:
        return HttpSink(HttpSinkSettings(url=f"{self.receiver.server.url}/in"))

    def rows(self, folder: Path) -> Sequence[str]:
        return [row["row"] for row in self.receiver.rows]

    def poison(self) -> pa.Array:
        return pa.array([{"row": "poison"}])


def rows(begin: int, end: int) -> pa.Array:
    return pa.array([{"id": number} for number in range(begin, end)])


def flushed(task: SinkTask, *, force: bool = True) -> Commit:
    commit = task.flush(force)
    assert commit is not None
    return commit


# -- what is sent


def test_rows_are_sent_as_lines_with_their_offsets() -> None:
    with Receiver() as receiver:
        task = receiver.task()
        task.put(delivery(5, pa.array([{"a": 1, "b": "ü"}, {"a": None, "b": "x\ny"}])))
        assert flushed(task).offsets == {PLACE: 7}
        (asked,) = receiver.asked
        assert asked.body == '{"a":1,"b":"ü"}\n{"a":null,"b":"x\\ny"}\n'.encode()
        assert asked.headers["content-type"] == "application/x-ndjson"
        assert (asked.headers["ingest-topic"], asked.headers["ingest-partition"]) == ("events", "0")
        assert asked.headers["ingest-offsets"] == "5-6"
        task.close()


def test_rows_may_be_one_list_to_a_url_of_their_topic_with_their_origin() -> None:
    with Receiver() as receiver:
        task = receiver.task(url=f"{receiver.server.url}/t/{{topic}}", format="json", origin=True, method="PUT")
        task.put(delivery(5, pa.array(["text"])))
        flushed(task)
        (asked,) = receiver.asked
        assert (asked.method, asked.path) == ("PUT", "/t/events")
        assert [{**row, "_timestamp": 0} for row in receiver.rows] == [
            {"value": "text", "_topic": "events", "_partition": 0, "_offset": 5, "_timestamp": 0}
        ]
        task.close()


def test_requests_are_bounded_in_rows_and_in_bytes() -> None:
    with Receiver() as receiver:
        task = receiver.task(batch={"rows": 3, "bytes": 40})
        task.put(delivery(0, pa.array([{"t": "x" * size} for size in (1, 1, 1, 1, 100, 30, 1)])))
        assert flushed(task).rows == 7
        assert [asked.headers["ingest-offsets"] for asked in receiver.asked] == ["0-2", "3-3", "4-4", "5-5", "6-6"]
        task.close()


def test_only_full_batches_are_due_before_their_time() -> None:
    with Receiver() as receiver:
        task = receiver.task(batch={"rows": 3, "interval": "10m"})
        task.put(delivery(0, rows(0, 2)))
        assert task.flush() is None
        task.put(delivery(2, rows(2, 8)))
        assert flushed(task, force=False).offsets == {PLACE: 6}
        assert 0 < (task.next_flush_ms() or 0) <= 600_000
        assert flushed(task).offsets == {PLACE: 8}
        assert [asked.headers["ingest-offsets"] for asked in receiver.asked] == ["0-2", "3-5", "6-7"]
        assert task.next_flush_ms() is None
        task.close()


def test_dead_letters_wait_for_the_commit_that_covers_them() -> None:
    letters = [DeadLetter("events", 0, offset, 0, "parse", "ParseFailed", "no") for offset in (1, 6)]
    with Receiver() as receiver:
        task = receiver.task(batch={"rows": 4})
        task.put(replace(delivery(0, rows(0, 6)), end=7, dead=letters))
        first = flushed(task, force=False)
        assert (first.offsets, first.dead) == ({PLACE: 4}, (letters[0],))
        last = flushed(task)
        assert (last.offsets, last.dead) == ({PLACE: 7}, (letters[1],))
        task.close()


def test_the_same_rows_have_the_same_key_and_others_another() -> None:
    with Receiver() as receiver:
        for begin, parts in ((0, [4]), (0, [1, 3]), (4, [4])):
            task = receiver.task(batch={"rows": 4})
            for size in parts:
                task.put(delivery(begin, rows(begin, begin + size)))
                begin += size
            flushed(task)
            task.close()
        assert [row["id"] for row in receiver.rows] == list(range(8))
        assert len(receiver.asked) == 3
        assert len(set(receiver.keys)) == 2


def test_signatures_are_those_of_standard_webhooks() -> None:
    # the example of the specification's reference libraries
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    made = signed([key_of(secret)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    with Receiver() as receiver:
        other = "whsec_" + base64.b64encode(b"x" * 24).decode()
        task = receiver.task(sign={"secret": [secret, other]}, auth={"type": "bearer", "secret": "t0ken"})
        task.put(delivery(0, rows(0, 1)))
        flushed(task)
        (asked,) = receiver.asked
        name, moment = asked.headers["webhook-id"], int(asked.headers["webhook-timestamp"])
        expected = signed([key_of(secret), key_of(other)], name, moment, asked.body)
        assert asked.headers["webhook-signature"] == expected["webhook-signature"]
        assert name == asked.headers["idempotency-key"]
        assert asked.headers["authorization"] == "Bearer t0ken"
        task.close()


# -- receivers that misbehave


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(b"", 500),
        Reply(b"", 429, {"Retry-After": "0"}),
        Reply(b"", 503, {"Retry-After": "0"}),
        Reply(b"", 409),
        Reply(b"the row was taken", 200, cut=3),
    ],
    ids=["failed", "too often", "busy", "in progress", "cut off"],
)
def test_trouble_that_passes_is_waited_out_and_no_row_comes_twice(trouble: Reply) -> None:
    with Receiver(trouble) as receiver:
        task = receiver.task()
        task.put(delivery(0, rows(0, 5)))
        assert flushed(task).rows == 5
        assert [row["id"] for row in receiver.rows] == list(range(5))
        assert len(receiver.asked) == 2
        task.close()


def test_after_the_last_attempt_the_task_is_opened_anew() -> None:
    with Receiver(Reply(b"", 500), Reply(b"", 500)) as receiver:
        task = receiver.task(attempts=2)
        task.put(delivery(0, rows(0, 5)))
        with pytest.raises(SystemUnavailable, match="answers 500"):
            task.flush(True)
        task.close()


def test_what_was_taken_before_the_trouble_is_committed_first() -> None:
    with Receiver(Reply(), Reply(b"", 500), Reply(b"", 500)) as receiver:
        task = receiver.task(attempts=1, batch={"rows": 2})
        task.put(delivery(0, rows(0, 5)))
        assert flushed(task).offsets == {PLACE: 2}
        with pytest.raises(SystemUnavailable):
            task.flush(True)
        assert flushed(task).offsets == {PLACE: 5}
        assert [row["id"] for row in receiver.rows] == list(range(5))
        task.close()


def test_a_receiver_that_wants_too_long_a_rest_is_left_to_the_retry_of_the_task() -> None:
    with Receiver(Reply(b"", 429, {"Retry-After": "3600"})) as receiver:
        task = receiver.task()
        task.put(delivery(0, rows(0, 1)))
        with pytest.raises(SystemUnavailable):
            task.flush(True)
        assert len(receiver.asked) == 1
        task.close()


@pytest.mark.parametrize("status", [401, 403, 404, 405, 302])
def test_an_answer_that_is_no_fault_of_the_rows_stops_the_sink(status: int) -> None:
    with Receiver(Reply(b"no", status, {"Location": "https://elsewhere.example"})) as receiver:
        task = receiver.task()
        task.put(delivery(0, rows(0, 5)))
        with pytest.raises(ConnectorError, match=f"answers {status}") as stopped:
            task.flush(True)
        assert not isinstance(stopped.value, SystemUnavailable)
        task.close()


def test_refused_rows_are_found_and_their_neighbours_are_taken() -> None:
    with Receiver(bad='"id":7') as receiver:
        task = receiver.task()
        task.put(delivery(0, pa.array([{"id": number} for number in [*range(10), 7, 70, 11]])))
        commit = flushed(task)
        assert [row["id"] for row in receiver.rows] == [0, 1, 2, 3, 4, 5, 6, 8, 9, 11]
        assert [letter.offset for letter in commit.dead] == [7, 10, 11]
        assert {letter.error for letter in commit.dead} == {REFUSED}
        assert "422" in commit.dead[0].reason
        assert "no such thing" in commit.dead[0].reason
        assert (commit.rows, commit.offsets) == (10, {PLACE: 13})
        task.close()


def test_no_half_is_sent_where_no_letter_is_tolerated() -> None:
    with Receiver(bad='"id":7') as receiver:
        task = HttpSink(HttpSinkSettings(url=f"{receiver.server.url}/in")).task()
        task.open(sink_context(Path(), tolerate=False))
        task.put(delivery(0, rows(0, 10)))
        with pytest.raises(RecordRefused, match="from offset 0"):
            task.flush(True)
        assert len(receiver.asked) == 1
        task.close()


def test_a_stop_does_not_wait_for_an_answer_for_long() -> None:
    released, begun = threading.Event(), threading.Event()

    def slow(asked: Asked) -> Reply:
        begun.set()
        released.wait(30)
        return Reply()

    with WebServer(slow) as server:
        context = sink_context(Path())
        task = HttpSink(HttpSinkSettings(url=server.url)).task()
        task.open(context)
        task.put(delivery(0, rows(0, 1)))
        failures: list[BaseException] = []

        def flush() -> None:
            try:
                task.flush(True)
            except SystemUnavailable as failure:
                failures.append(failure)

        thread = threading.Thread(target=flush)
        thread.start()
        assert begun.wait(20)
        context.stopping.set()
        thread.join(8)
        released.set()
        assert not thread.is_alive()
        assert "is to stop" in str(failures[0])
        task.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "example.com"},
        {"url": "https://me:pass@example.com"},
        {"sign": {"secret": "whsec_???"}},
        {"sign": {"secret": []}},
        {"refusals": [429]},
        {"refusals": [500]},
        {"batch": {"rows": 0}},
    ],
)
def test_settings_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HttpSinkSettings(**{"url": "https://example.com"} | wrong)
