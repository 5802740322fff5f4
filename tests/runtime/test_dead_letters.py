"""Dead letters keep the record, and say why and from where."""

from __future__ import annotations

import json
from dataclasses import replace

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.connectors import HEADERS, TIMESTAMP, DeadLetter, DeadRecords, Origin, Records
from ingest.runtime import dead_letters
from ingest.runtime.transform_chain import Refusal

ORIGIN = {"pipeline": "logs", "source": "nginx"}


def polled(*values, type=None, **columns):  # noqa: A002
    return Records(
        value=pa.array(values, type),
        stream="f",
        origin=Origin("nginx", "/var/log/a.log"),
        positions=pa.array(range(0, 10 * len(values), 10), pa.int64()),
        **columns,
    )


def headers_of(records):
    own = records.headers.to_pylist()
    return [dict([*records.common_headers, *((h["key"], h["value"]) for h in row)]) for row in own]


def refusal(*rows):
    return Refusal(pa.array(rows, pa.int64()), [f"bad {row}" for row in rows], "parse", "ParseFailed")


def test_a_letter_keeps_bytes_key_and_timestamp_of_the_polled_row():
    stamps = pa.array([1, 2, 3], pa.int64()).cast(TIMESTAMP)
    entered = polled("a", "ü", "c", key=pa.array([b"1", b"2", b"3"]), timestamp=stamps)
    letters = dead_letters.of_refusal(entered, refusal(1, 2), ORIGIN)
    assert letters.value.to_pylist() == ["ü".encode(), b"c"]
    assert letters.key.to_pylist() == [b"2", b"3"]
    assert letters.timestamp.cast(pa.int64()).to_pylist() == [2, 3]


def test_a_letter_says_stage_class_reason_and_origin():
    letters = dead_letters.of_refusal(polled("a", "b", "c"), refusal(2), ORIGIN)
    assert headers_of(letters) == [
        {
            "ingest.error.pipeline": b"logs",
            "ingest.error.source": b"nginx",
            "ingest.error.stage": b"parse",
            "ingest.error.class": b"ParseFailed",
            "ingest.error.reason": b"bad 2",
            "ingest.error.file": b"/var/log/a.log",
            "ingest.error.position": b"20",
        }
    ]


def test_a_record_refused_by_the_source_keeps_its_bytes():
    dead = DeadRecords(polled(b"\xff\x00", type=pa.binary()), ["not text"], "decode", "NotText")
    letters = dead_letters.of_dead_records(dead, ORIGIN)
    assert letters.value.to_pylist() == [b"\xff\x00"]
    assert headers_of(letters)[0]["ingest.error.stage"] == b"decode"


def test_a_row_of_columns_becomes_a_json_object():
    letters = dead_letters.of_refusal(polled({"a": 1, "b": "x"}, {"a": None, "b": "y"}), refusal(0), ORIGIN)
    assert [json.loads(value) for value in letters.value.to_pylist()] == [{"a": 1, "b": "x"}]


def test_a_tombstone_stays_a_tombstone():
    letters = dead_letters.of_refusal(polled("a", None), refusal(1), ORIGIN)
    assert letters.value.to_pylist() == [None]


def test_own_headers_come_first_and_common_ones_stay():
    own = pa.array([[{"key": "k", "value": b"v"}], None, []], HEADERS)
    entered = replace(polled("a", "b", "c", headers=own), common_headers=(("host", b"h"),))
    letters = dead_letters.of_refusal(entered, refusal(0, 1), ORIGIN)
    assert letters.common_headers[0] == ("host", b"h")
    assert [[header["key"] for header in row] for row in letters.headers.to_pylist()] == [
        ["k", "ingest.error.reason", "ingest.error.position"],
        ["ingest.error.reason", "ingest.error.position"],
    ]


def test_a_sinks_letter_names_the_record_in_the_hub():
    records = Records(value=pa.array([b"x"]), topic="t", partition=1, offsets=pa.array([7]))
    letter = DeadLetter("t", 1, 7, 3, "write", "Refused", "no")
    letters = dead_letters.of_letters(records, [letter], {"pipeline": "logs", "sink": "lake"})
    assert headers_of(letters)[0] == {
        "ingest.error.pipeline": b"logs",
        "ingest.error.sink": b"lake",
        "ingest.error.stage": b"write",
        "ingest.error.class": b"Refused",
        "ingest.error.reason": b"no",
        "ingest.error.topic": b"t",
        "ingest.error.partition": b"1",
        "ingest.error.offset": b"7",
        "ingest.error.row": b"3",
    }
    assert letters.offsets is None


HEADER = st.fixed_dictionaries({"key": st.text(max_size=3), "value": st.none() | st.binary(max_size=3)})


@settings(max_examples=40)
@given(
    rows=st.lists(st.tuples(st.none() | st.lists(HEADER, max_size=3), st.binary(max_size=3)), min_size=1, max_size=8),
    cut=st.integers(0, 3),
)
def test_added_headers_follow_each_records_own(rows, cut):
    cut = min(cut, len(rows) - 1)
    own = pa.array([headers for headers, _ in rows], HEADERS).slice(cut)
    added = {"x": pa.array([value for _, value in rows], pa.binary()).slice(cut)}
    joined = dead_letters._with_headers(own, added, len(rows) - cut)
    assert joined.to_pylist() == [[*(headers or []), {"key": "x", "value": value}] for headers, value in rows[cut:]]
