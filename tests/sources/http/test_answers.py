"""What may be posted, what comes back, and what the hub then holds."""

from __future__ import annotations

import gzip
import json
import sys
import zlib

import pyarrow as pa
import pytest
from posting import JSON, NDJSON

from ingest.connectors import Transform, Transformed
from ingest.runtime.plan import ErrorPolicy, TopicPlan

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CSV = {"Content-Type": "text/csv"}
EVENT = {"Content-Type": "application/cloudevents+json"}
EVENTS = {"Content-Type": "application/cloudevents-batch+json; charset=UTF-8"}
TEXT = {"Content-Type": "text/plain"}
ENVELOPE = '{"specversion": "1.0", "id": "7", "source": "/s", "type": "t", "data": {"a": 1}}'


# -- what is taken


@pytest.mark.parametrize(
    ("headers", "body", "stored"),
    [
        (JSON, b' {"a": 1.0}\n', [b'{"a": 1.0}']),
        ({}, b'{"a": 1}', [b'{"a": 1}']),
        ({"Content-Type": "application/vnd.api+json; charset=utf-8"}, b"{}", [b"{}"]),
        (JSON, b'[{"a":1e400}, {"b":[{}]}\n,{}]', [b'{"a":1e400}', b'{"b":[{}]}', b"{}"]),
        (NDJSON, b'{"a":1}\r\n\n {"a":2} \n{"a":3}', [b'{"a":1}', b'{"a":2}', b'{"a":3}']),
        (CSV, b'id,name\n1,"a ""b""\nc"\n2,\n', [b'{"id":"1","name":"a \\"b\\"\\nc"}', b'{"id":"2","name":""}']),
        (EVENT, ENVELOPE.encode(), [ENVELOPE.encode()]),
        (EVENTS, f"[{ENVELOPE},{ENVELOPE}]".encode(), [ENVELOPE.encode()] * 2),
        (JSON, '{"ü": "\U0001f600"}'.encode(), ['{"ü": "\U0001f600"}'.encode()]),
    ],
)
def test_json_in_its_many_wrappings(shared_posting, headers, body, stored):
    web = shared_posting()
    before = web.values()
    answer = web.post(body, headers)
    assert (answer.status, answer.json["count"]) == (202, len(stored))
    assert web.values() == before + stored


def test_text_is_one_record_a_line(posting):
    web = posting(format="text")
    assert web.post(b"ein\r\nzwei\n\ndrei", TEXT).place == ("events", 0, 0, 4)
    assert web.values() == [b"ein", b"zwei", b"", b"drei"]


def test_bytes_are_one_record_untouched(posting):
    web = posting(format="bytes")
    body = bytes(range(256))
    assert web.post(body, {"Content-Type": "image/png"}).place == ("events", 0, 0, 1)
    assert web.values() == [body]


def test_a_binary_cloud_event_has_its_attributes_as_headers(posting):
    web = posting()
    attributes = {"ce-specversion": "1.0", "ce-id": "7", "ce-source": "/caf%C3%A9", "ce-type": "t", "ce-extra": "x"}
    assert web.post('{"a":1}', JSON | attributes).status == 202
    assert web.values() == [b'{"a":1}']
    assert web.headers() == [
        {
            "content-type": b"application/json",
            "ce_specversion": b"1.0",
            "ce_id": b"7",
            "ce_source": "/café".encode(),
            "ce_type": b"t",
            "ce_extra": b"x",
        }
    ]


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", lambda body: gzip.compress(body[:5]) + gzip.compress(body[5:])),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body, wbits=-15)),
        ("zstd", zstd.compress),
        ("deflate, gzip", lambda body: gzip.compress(zlib.compress(body))),
        ("identity", bytes),
    ],
)
def test_compressed_bodies(shared_posting, coding, pack):
    web = shared_posting()
    answer = web.post(pack(b'{"a":1}\n{"a":2}'), NDJSON | {"Content-Encoding": coding})
    assert (answer.status, web.values()[-2:]) == (202, [b'{"a":1}', b'{"a":2}'])


def test_wanted_request_headers_become_record_headers(posting):
    web = posting(headers=["X-GitHub-Event"])
    web.post(b'[{"a":1},{"a":2}]', JSON | {"X-GitHub-Event": "push"})
    web.post(b"{}")
    assert web.headers() == [{"X-GitHub-Event": b"push"}] * 2 + [{}]


def test_offsets_go_on_from_request_to_request(posting):
    web = posting()
    counts = [web.post(json.dumps([{"n": n}] * (n + 1))).place[3] for n in range(4)]
    assert counts == [1, 2, 3, 4]
    assert web.post("{}").place[3] == 1
    assert len(web.values()) == 11


# -- what is refused, and how


@pytest.mark.parametrize(
    ("headers", "body", "status", "detail"),
    [
        (JSON, b"", 400, "not JSON at byte 0"),
        (JSON, b'{"a":', 400, "not JSON at byte 5"),
        (JSON, b"17", 422, "JSON, but no object"),
        (JSON, b"[]", 400, "no event"),
        (JSON, b"[{},3]", 422, "item 2: JSON, but no object"),
        (JSON, b'{"a":{"b":{"c":{}}}}', 422, "nested too deep"),
        (NDJSON, b'{"a":1}\n\n{"a":}\n{}', 400, "line 3: not JSON at byte 5"),
        (NDJSON, b"\n\n", 400, "no event"),
        (CSV, b"a,b\n1,2\n3\n", 400, "not CSV"),
        (CSV, b"a,a\n1,2\n", 422, "two columns have the same name"),
        (CSV, b"a,\n1,2\n", 400, "must name every column"),
        (CSV, b"a,b\n", 400, "no row"),
        (CSV, b"", 400, "must name every column"),
        (CSV, b"a\n\xff\n", 400, "not CSV"),
        (CSV, b'a,b\n1,"x\ny"\n2,"open\n3,z\n', 400, "line 4: a quote that is never closed"),
        (EVENT, b'{"specversion": "1.0", "id": "7"}', 422, "no source"),
        (EVENTS, f'[{ENVELOPE},{{"id": 1}}]'.encode(), 422, "item 2: the CloudEvent has no specversion"),
        (JSON | {"ce-specversion": "1.0", "ce-id": "1"}, b"{}", 400, "no ce-source"),
        (TEXT, b"a", 415, "text/plain is not taken"),
        (JSON | {"Content-Encoding": "br"}, b"x", 415, "'br' is not known"),
        (JSON | {"Content-Encoding": "gzip"}, b"x", 400, "not gzip"),
        (JSON | {"Content-Encoding": "gzip"}, gzip.compress(b"{}", mtime=0)[:-3], 400, "ends in the middle"),
        (JSON | {"Content-Encoding": "zstd"}, zstd.compress(b"{}")[:-1], 400, "not zstd"),
        (JSON | {"Content-Encoding": "gzip,gzip,gzip,gzip"}, b"x", 415, "more than 3"),
        (JSON | {"Content-Type": "application/json; charset=latin1"}, b"{}", 415, "send UTF-8"),
        (JSON, b" " * 3000, 413, "at most 2000 bytes"),
        (JSON | {"Content-Encoding": "gzip"}, gzip.compress(b" " * 10**6, mtime=0), 413, "more than 2000 bytes"),
        (JSON | {"Content-Encoding": "zstd"}, zstd.compress(b" " * 10**6), 413, "more than 2000 bytes"),
        (JSON | {"Content-Encoding": "deflate"}, zlib.compress(b" " * 10**6), 413, "more than 2000 bytes"),
    ],
)
def test_a_bad_body_is_refused_whole_with_its_reason(shared_posting, headers, body, status, detail):
    web = shared_posting(limits={"body": 2000, "depth": 3})
    answer = web.post(body, headers)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert detail in answer.json["detail"]
    assert web.values() == []


def test_the_bad_line_is_a_fact_of_the_answer(posting):
    answer = posting().post(b'{"a":1}\n{"a":2}\n{"a"', NDJSON)
    assert (answer.json["line"], answer.json["status"]) == (3, 400)


def test_other_paths_and_methods(posting):
    web = posting(path="/in")
    assert web.post("{}", path="/").status == 404
    assert web.post("{}", path="/in/more").status == 404
    assert web.post("{}", path="/in?source=x").status == 202
    assert web.post("{}", path="/%69n").status == 202
    assert web.post("", path="/in", method="GET").status == 405
    assert web.post("{}", path="/in", method="PUT").headers["allow"] == "POST, OPTIONS"
    assert web.post("", path="/in", method="OPTIONS").status == 204


def test_routes_have_topics_and_formats_of_their_own(posting):
    web = posting(
        routes=[
            {"path": "/logs", "topic": "logs", "format": "text"},
            {"path": "/hooks/{sender}", "topic": "hooks.{sender}"},
            {"path": "/rest"},
        ],
        most_topics=2,
    )
    assert web.post("line", TEXT, "/logs").place[0] == "logs"
    assert web.post("{}", path="/hooks/a").place[0] == "hooks.a"
    assert web.post("{}", path="/hooks/b").place[0] == "hooks.b"
    assert web.post("{}", path="/hooks/a").place == ("hooks.a", 0, 1, 1)
    assert web.post("{}", path="/hooks/c").status == 404
    assert web.post("{}", path="/hooks/a%2Fb").status == 404
    assert web.post("{}", path="/hooks/..").status == 404
    assert web.post("{}", path="/rest").place[0] == "events"


def test_a_rate_limit_says_when_to_come_back(posting):
    web = posting(rate_limit={"requests": 0.5, "burst": 2})
    assert [web.post("{}").status for _ in range(3)] == [202, 202, 429]
    assert 1 <= int(web.post("{}").headers["retry-after"]) <= 2


def test_addresses_that_are_not_allowed(posting):
    assert posting(allow_from=["10.0.0.0/8"]).post("{}").status == 403
    assert posting(allow_from=["127.0.0.0/8"]).post("{}").status == 202
    behind = posting(allow_from=["10.0.0.0/8"], trusted_proxies=["127.0.0.1", "192.168.0.0/16"])
    assert behind.post("{}", JSON | {"X-Forwarded-For": "8.8.8.8, 10.1.2.3, 192.168.3.4"}).status == 202
    assert behind.post("{}", JSON | {"X-Forwarded-For": "10.1.2.3, 8.8.8.8"}).status == 403
    assert behind.post("{}", JSON | {"X-Forwarded-For": "made up"}).status == 403


def test_pages_of_allowed_origins_may_post(posting):
    web = posting(cors={"origins": ["https://a.example"]})
    asked = web.post("", {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}, method="OPTIONS")
    assert asked.headers["access-control-allow-origin"] == "https://a.example"
    assert "Idempotency-Key" in asked.headers["access-control-allow-headers"]
    assert web.post("{}", JSON | {"Origin": "https://a.example"}).headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in web.post("{}", JSON | {"Origin": "https://b.example"}).headers


# -- transforms, keys, partitions


def test_key_and_time_by_expressions_over_json_that_stays_as_it_came(posting):
    topics = {"events": TopicPlan(partitions=4)}
    web = posting({"key": "user", "timestamp": "at", "topics": topics})
    events = [
        b'{"user": "a", "at": "2024-02-29T12:00:00Z", "n": 1.0}',
        b'{"user": "b", "at": "2024-02-29T13:00:00+01:00", "n": 2}',
        b'{"user": "a", "at": "soon"}',
        b'{"other": 1}',
    ]
    assert web.post(b"[" + b",".join(events) + b"]").json["count"] == 4
    rows = {
        value: (key, at)
        for records in web.records()
        for value, key, at in zip(
            records.value.to_pylist(),
            records.key.to_pylist() if records.key is not None else [None] * len(records),
            records.timestamp.cast(pa.int64()).to_pylist(),
            strict=True,
        )
    }
    assert [rows[event][0] for event in events] == [b"a", b"b", b"a", None]
    assert [rows[event][1] for event in events[:2]] == [1_709_208_000_000] * 2
    assert min(rows[event][1] for event in events[2:]) > 1_709_208_000_000
    assert web.post('{"no": "columns"}').status == 202
    assert web.post('{"user": 3, "at": 4}').status == 202
    assert web.post('{"user": 1, "user": 2}').status == 202


class Half(Transform):
    """Leaves out every second row, and sends the rest to two topics, the last row first."""

    def __init__(self, settings=None):
        pass

    def apply(self, records, state):
        from dataclasses import replace

        kept = records.take(pa.array(range(len(records) - 1, -1, -2)))
        return Transformed([replace(kept.slice(0, 1), topic="first"), kept.slice(1)])


def test_events_that_a_transform_leaves_out_are_not_counted(posting):
    web = posting({"transforms": (Half(),)})
    answer = web.post(json.dumps([{"n": n} for n in range(6)]))
    parts = [{"topic": "first", "partition": 0, "offset": 0, "count": 1}]
    parts.append({"topic": "events", "partition": 0, "offset": 0, "count": 2})
    assert answer.json == {**parts[0], "count": 3, "received": 6, "parts": parts}
    assert web.values() == [b'{"n": 3}', b'{"n": 1}']


class Nothing(Transform):
    """Leaves out all."""

    def __init__(self, settings=None):
        pass

    def apply(self, records, state):
        return Transformed([])


def test_a_request_of_which_nothing_is_left_is_answered_too(posting):
    web = posting({"transforms": (Nothing(),)})
    assert web.post("{}").json == {"count": 0, "received": 1}
    keyed = [web.post("{}", JSON | {"Idempotency-Key": "k"}) for _ in range(2)]
    assert [answer.json for answer in keyed] == [{"count": 0, "received": 1}] * 2
    assert "idempotent-replayed" in keyed[1].headers


def test_an_event_too_large_for_the_topic_is_a_dead_letter(posting):
    web = posting({"topics": {"events": TopicPlan(config={"max.message.bytes": "5000"})}})
    answer = web.post(json.dumps([{"n": 1}, {"n": "x" * 6000}, {"n": 3}]))
    assert (answer.json["count"], answer.json["received"]) == (2, 3)
    assert web.values() == [b'{"n": 1}', b'{"n": 3}']
    assert len(web.values("p.dead")) == 1


def test_where_no_dead_letter_is_allowed_nothing_of_it_is_acknowledged(posting):
    topics = {"events": TopicPlan(config={"max.message.bytes": "5000"})}
    web = posting({"topics": topics, "errors": ErrorPolicy("none")})
    assert web.post(json.dumps([{"n": 1}, {"n": "x" * 6000}])).status == 503
    web.thread.join(20)
    assert web.outcome.state == "failed"
    assert web.values() == []


def test_a_batch_larger_than_a_step_is_stored_whole(posting):
    web = posting({"max_batch_bytes": 1000})
    body = "\n".join(json.dumps({"n": n, "x": "x" * 50}) for n in range(500))
    assert web.post(body, NDJSON).place == ("events", 0, 0, 500)
    assert len(web.values()) == 500
