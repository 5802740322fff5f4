"""``w3c`` and ``zeek``: columns by the header lines of the stream."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from parsing import parse

from ingest.connectors import Records
from ingest.connectors.testing import TransformContract
from ingest.transforms.parse import Parse

W3C = [
    "#Software: Internet Information Services",
    "#Date: 2026-01-31 00:00:00",
    "#Fields: date time c-ip cs-uri-stem sc-status time-taken cs(User-Agent)",
    "2026-01-31 12:00:01 192.0.2.1 /index.html 200 15 Mozilla/5.0+(X11)",
    "2026-01-31 12:00:02 2001:db8::1 - 404 - -",
]
ZEEK = [
    "#separator \\x09",
    "#set_separator\t,",
    "#empty_field\t(empty)",
    "#unset_field\t-",
    "#path\tconn",
    "#fields\tts\tid.orig_h\tid.orig_p\tduration\tlocal\tparents\tports",
    "#types\ttime\taddr\tport\tinterval\tbool\tset[string]\tvector[port]",
    "1320279554.496300\t192.0.2.1\t52025\t2.125850\tT\ta,b\t80,443",
    "1320279567.181431\t::1\t53\t-\t-\t(empty)\t-",
    "#close\t2017-04-16-21-36-10",
]


class TestW3c(TransformContract):
    def transform(self) -> Parse:
        return Parse(Parse.Settings(format="w3c"))

    def good(self) -> pa.Array:
        return pa.array(W3C)

    def bad(self) -> pa.Array:
        return pa.array(["2026-01-31 12:00:01"])


class TestZeek(TransformContract):
    def transform(self) -> Parse:
        return Parse(Parse.Settings(format="zeek"))

    def good(self) -> pa.Array:
        return pa.array(ZEEK)

    def bad(self) -> pa.Array:
        return pa.array(["x"])


def test_w3c_columns_are_named_as_in_the_header() -> None:
    found = parse(W3C, format="w3c")
    assert found.reasons == {}
    assert found.rows == [
        {
            "date": "2026-01-31",
            "time": "12:00:01",
            "c-ip": "192.0.2.1",
            "cs-uri-stem": "/index.html",
            "sc-status": 200,
            "time-taken": 15.0,
            "cs(User-Agent)": "Mozilla/5.0+(X11)",
        },
        {
            "date": "2026-01-31",
            "time": "12:00:02",
            "c-ip": "2001:db8::1",
            "cs-uri-stem": None,
            "sc-status": 404,
            "time-taken": None,
            "cs(User-Agent)": None,
        },
    ]


def test_w3c_date_and_time_are_the_records_timestamp() -> None:
    assert parse(W3C, format="w3c").timestamps[0] == datetime(2026, 1, 31, 12, 0, 1, tzinfo=UTC)
    assert parse(W3C, format="w3c", timezone="-08:00").timestamps[0] == datetime(2026, 1, 31, 20, 0, 1, tzinfo=UTC)


def test_w3c_time_alone_gets_its_day_from_the_date_line() -> None:
    lines = ["#Fields: time c-ip", "#Date: 2026-01-31 00:00:00", "12:00:01 192.0.2.1"]
    assert parse(lines, format="w3c").timestamps == [datetime(2026, 1, 31, 12, 0, 1, tzinfo=UTC)]


def test_w3c_quoted_values_hold_blanks() -> None:
    lines = ["#Fields: a b", '"one ""two""" \t "three four"', 'x "open', 'y "z"']
    found = parse(lines, format="w3c")
    assert found.rows == [{"a": 'one "two"', "b": "three four"}, {"a": "y", "b": "z"}]
    assert found.reasons == {2: "the quote at character 2 is not closed"}


def test_w3c_types_can_be_set() -> None:
    found = parse(W3C, format="w3c", types={"sc-status": "string", "date": "date"})
    assert found.rows[0]["sc-status"] == "200"
    assert found.kind.field("date").type == pa.date32()


def test_new_fields_in_the_middle_make_a_second_batch() -> None:
    lines = ["#Fields: a b", "1 2", "#Fields: c", "3", "", "4"]
    assert parse(lines, format="w3c").rows == [{"a": "1", "b": "2"}, {"c": "3"}, {"c": "4"}]


def test_lines_before_any_header_are_refused() -> None:
    found = parse(["1 2", "", "#Fields: a b", "3 4"], format="w3c")
    assert found.reasons == {0: "no #Fields: line came before"}
    assert found.rows == [{"a": "3", "b": "4"}]
    assert parse(["1"], format="zeek").reasons == {0: "no #fields line came before"}


def test_a_stream_goes_on_in_the_middle() -> None:
    for lines, name in ((W3C, "w3c"), (ZEEK, "zeek")):
        head = parse(lines[:7] if name == "zeek" else lines[:3], format=name)
        state = json.loads(json.dumps(head.state))
        rest = parse(lines[7:] if name == "zeek" else lines[3:], state, format=name)
        assert rest.rows == parse(lines, format=name).rows


def test_zeek_columns_have_the_types_of_the_header() -> None:
    found = parse(ZEEK, format="zeek")
    assert found.reasons == {}
    assert found.rows == [
        {
            "ts": datetime(2011, 11, 3, 0, 19, 14, 496_300, tzinfo=UTC),
            "id.orig_h": "192.0.2.1",
            "id.orig_p": 52025,
            "duration": 2.12585,
            "local": True,
            "parents": ["a", "b"],
            "ports": [80, 443],
        },
        {
            "ts": datetime(2011, 11, 3, 0, 19, 27, 181_431, tzinfo=UTC),
            "id.orig_h": "::1",
            "id.orig_p": 53,
            "duration": None,
            "local": None,
            "parents": [],
            "ports": None,
        },
    ]
    assert found.timestamps[0] == datetime(2011, 11, 3, 0, 19, 14, 496_000, tzinfo=UTC)


def test_a_zeek_value_that_is_not_of_its_type_refuses_its_line() -> None:
    bad = ZEEK[7].replace("52025", "many"), ZEEK[7].replace("80,443", "80,https"), ZEEK[7].replace("\tT\t", "\tmaybe\t")
    found = parse([*ZEEK[:8], *bad], format="zeek")
    assert len(found.rows) == 1
    assert found.reasons == {
        8: "id.orig_p: 'many' is no int32",
        9: "ports: 'https' is no int32",
        10: "local: 'maybe' is no bool",
    }


def test_a_header_that_contradicts_itself_refuses_its_lines() -> None:
    found = parse(["#fields\ta\tb", "#types\tstring", "1\t2"], format="zeek")
    assert found.reasons == {2: "#fields names 2 columns and #types has 1"}


def test_other_separators() -> None:
    lines = ["#separator |", "#fields|a|b", "#unset_field|NIL", "1|NIL"]
    assert parse(lines, format="zeek").rows == [{"a": "1", "b": None}]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(W3C + ZEEK), st.text(alphabet='#ab \t"-:,1', max_size=12)), max_size=12))
def test_any_mixture_of_lines_is_accounted_for(lines: list[str]) -> None:
    for name in ("w3c", "zeek"):
        result = Parse(Parse.Settings(format=name)).apply(
            Records(value=pa.array(lines, pa.string()), rows=pa.array(range(len(lines)), pa.int64())), {}
        )
        kept = [row for records in result.records for row in records.rows.to_pylist()]
        refused = [row for rejected in result.rejected for row in rejected.rows.to_pylist()]
        silent = [row for row, line in enumerate(lines) if line.startswith("#") or not line.strip()]
        assert sorted(kept + refused + silent) == list(range(len(lines)))
        json.dumps(result.state)
