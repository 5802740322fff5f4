"""Whatever comes in over the socket, each request is answered or its connection ends, and the server goes on."""

from __future__ import annotations

import gzip
import json
import re
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.sources.http.bodies import decoded
from ingest.sources.http.refused import Refused

LIMIT = 20_000
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
KNOWN = {100, 202, 204, 400, 401, 404, 405, 408, 413, 415, 422, 429, 431, 501}

TEXT = st.binary(max_size=40).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b""))
PATHS = st.one_of(
    st.just(b"/"), TEXT.map(lambda raw: b"/" + raw.replace(b" ", b"")), st.sampled_from([b"*", b"//", b"/%", b"/%ff"])
)
NAMES = st.sampled_from(
    b"Content-Type Content-Encoding Idempotency-Key ce-specversion ce-id Origin Expect Connection X-Forwarded-For "
    b"Content-Length Transfer-Encoding Host X".split()
)
VALUES = st.one_of(
    TEXT,
    st.sampled_from(
        b"application/json application/x-ndjson text/csv application/cloudevents+json gzip zstd deflate 1.0 close "
        b"application/cloudevents-batch+json 100-continue chunked key".split()
    ),
)
BODIES = st.one_of(
    st.binary(max_size=300),
    st.sampled_from(
        [b'{"a":1}', b'[{"a":1},{}]', b'{"a":1}\n{"a":', b"a,b\n1,2\n", b"\xff", b"[" * 500, b'{"a":"\\ud800"}']
    ),
    st.binary(max_size=100).map(gzip.compress),
    st.sampled_from([gzip.compress(b'{"a":1}'), zlib.compress(b" " * 100_000), gzip.compress(b" " * 10**6)]),
)
METHODS = st.sampled_from([b"POST", b"POST", b"POST", b"GET", b"OPTIONS", b"PUT", b"PRI", b"x"])


@st.composite
def requests(draw):
    """Something like a request, perhaps cut off, perhaps with a byte changed."""
    body = draw(BODIES)
    headers = [name + b": " + value for name, value in draw(st.lists(st.tuples(NAMES, VALUES), max_size=4))]
    if draw(st.booleans()):
        headers.append(b"Content-Length: %d" % len(body))
    raw = b"\r\n".join([draw(METHODS) + b" " + draw(PATHS) + b" HTTP/1.1", *headers, b"", b""]) + body
    if draw(st.integers(0, 4)) == 0:
        raw = raw[: draw(st.integers(0, len(raw)))]
    elif raw and draw(st.integers(0, 4)) == 0:
        at = draw(st.integers(0, len(raw) - 1))
        raw = raw[:at] + bytes([draw(st.integers(0, 255))]) + raw[at + 1 :]
    return raw


def sends(web, raw):
    """Ends our side, reads all answers."""
    with web.socket() as connection:
        try:
            connection.sendall(raw)
            connection.shutdown(1)
            answer = b""
            while part := connection.recv(65536):
                answer += part
        except ConnectionResetError:
            return b""
    return answer


def check(web, raw):
    answer = sends(web, raw)
    assert {int(status) for status in STATUS.findall(answer)} <= KNOWN, (raw, answer)


@pytest.fixture
def web(shared_posting):
    one = shared_posting(limits={"body": LIMIT, "request_time": 1000}, cors={"origins": ["*"]})
    yield one
    assert one.post("{}").status == 202
    for value in one.values():
        assert isinstance(json.loads(value), dict)


def test_strange_requests(web):
    @settings(max_examples=150)
    @given(requests())
    def run(raw):
        check(web, raw)

    run()


@pytest.mark.slow
def test_strange_requests_for_a_minute(web):
    @settings(max_examples=5_000)
    @given(st.lists(requests(), min_size=1, max_size=4).map(b"".join))
    def run(raw):
        check(web, raw)

    run()


@given(
    st.binary(max_size=500),
    st.lists(st.sampled_from(["gzip", "zstd", "deflate", "identity", "br", ""]), max_size=4).map(",".join),
)
def test_a_body_of_any_coding_is_decoded_or_refused(body, codings):
    try:
        assert len(decoded(body, codings, 10_000)) <= 10_000
    except Refused as refused:
        status = refused.status
    else:
        return
    assert status in (400, 413, 415)
