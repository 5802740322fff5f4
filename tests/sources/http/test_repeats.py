"""A request with a key is stored once, however often it comes, before and after a restart."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from posting import JSON

from ingest.environment import Environment
from ingest.errors import ConnectorError
from ingest.failpoints import FailPoints
from ingest.sources.http.kept import Kept, unpack
from ingest.sources.http.key_store import KeyStore


def key(value):
    return JSON | {"Idempotency-Key": value}


def test_a_repeat_gets_the_same_answer_and_is_stored_once(posting):
    web = posting()
    first = web.post('[{"a":1},{"a":2}]', key("k"))
    repeat = web.post('[{"a":1},{"a":2}]', key("k"))
    assert (repeat.status, repeat.body) == (first.status, first.body)
    assert repeat.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert web.values() == [b'{"a":1}', b'{"a":2}']


def test_other_keys_and_paths_are_other_requests(posting):
    web = posting(routes=[{"path": "/a"}, {"path": "/b"}])
    assert [web.post("{}", key(name), path).status for name, path in [("1", "/a"), ("2", "/a"), ("1", "/b")]] == [
        202
    ] * 3
    assert len(web.values()) == 3


def test_a_key_that_comes_with_another_body_is_refused(posting):
    web = posting()
    web.post('{"a":1}', key("k"))
    assert web.post('{"a":2}', key("k")).status == 422
    assert web.values() == [b'{"a":1}']


@pytest.mark.parametrize("bad", ["", "x" * 256])
def test_a_key_has_a_length(posting, bad):
    assert posting().post("{}", key(bad)).status == 400


def test_a_refused_request_does_not_use_up_its_key(posting):
    web = posting()
    assert web.post('{"a":', key("k")).status == 400
    assert web.post('{"a":1}', key("k")).status == 202


def test_keys_survive_a_restart(posting):
    web = posting()
    first = [web.post(f'{{"n":{n}}}', key(f"k{n}")).body for n in range(40)]
    web.stop()
    web.start()
    assert [web.post(f'{{"n":{n}}}', key(f"k{n}")).body for n in range(40)] == first
    assert len(web.values()) == 40


def test_no_window_no_memory(posting):
    web = posting(idempotency={"window": 0})
    assert {web.post("{}", key("k")).json["count"] for _ in range(2)} == {1}
    assert len(web.values()) == 2


def test_concurrent_repeats_wait_for_the_first(posting):
    web = posting()
    answers, barrier = [], threading.Barrier(12)

    def send(number):
        barrier.wait()
        answers.append(web.post(f'{{"n":{number % 3}}}', key(f"k{number % 3}")))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [202] * 12
    assert sorted(web.values()) == [b'{"n":0}', b'{"n":1}', b'{"n":2}']
    assert set(Counter(answer.body for answer in answers).values()) == {4}


class Crash(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("point", ["source.polled", "source.transformed", "source.appended", "source.committed"])
def test_a_crash_at_any_step_leaves_key_and_records_together(posting, point):
    fail = FailPoints()
    web = posting({"environment": Environment(fail=fail)})
    web.post("{}", key("before"))

    def crash():
        raise Crash

    fail.arm(point, crash)
    assert web.post('{"a":1}', key("k")).status == 503
    web.thread.join(20)
    web.start()
    assert web.post('{"a":1}', key("k")).status == 202
    assert web.values() == [b"{}", b'{"a":1}']


# -- the store of keys by itself


def kept(number, time_ms=0):
    return Kept(number.to_bytes(16, "big"), number.to_bytes(8, "big"), time_ms, b"answer %d" % number)


@given(st.lists(st.integers(1, 40), max_size=60))
def test_the_store_restores_what_it_was_given(sizes):
    store, positions, given_ = KeyStore(1000, 10_000), {}, []
    number = 0
    for size in sizes:
        fresh = [kept(number + n) for n in range(size)]
        number += size
        given_ += fresh
        apply(positions, store.add(fresh, 0))
    assert sorted(unpack(KeyStore(1000, 10_000).restore(positions)), key=lambda one: one.digest) == given_


def test_thousands_of_steps_leave_few_positions():
    store, positions = KeyStore(10**9, 10**6), {}
    written = 0
    for number in range(5000):
        changed = store.add([kept(number)], number)
        written += sum(len(position["keys"]) for position in changed.values() if position)
        apply(positions, changed)
    assert len(positions) < 50
    assert written < 5 * sum(len(position["keys"]) for position in positions.values())


def test_keys_beyond_the_window_or_the_number_are_forgotten():
    store, positions = KeyStore(100, 10**6), {}
    for time_ms in range(0, 1000, 10):
        apply(positions, store.add([kept(time_ms, time_ms)], time_ms))
    times = [one.time_ms for one in unpack(KeyStore(100, 10**6).restore(positions))]
    assert set(range(890, 1000, 10)) <= set(times)
    assert len(times) < 60
    few, positions = KeyStore(10**9, 50), {}
    for number in range(500):
        apply(positions, few.add([kept(number)], number))
    left = list(unpack(KeyStore(10**9, 50).restore(positions)))
    assert 50 <= len(left) < 80
    assert left[-1] == kept(499)


def test_a_position_that_cannot_be_read_is_an_error_that_says_what_to_do():
    with pytest.raises(ConnectorError, match="positions reset"):
        KeyStore(1, 1).restore({"keys/1": {"version": 2}})


def apply(positions, changed):
    for stream, position in changed.items():
        if position is None:
            del positions[stream]
        else:
            positions[stream] = position
