"""``syslog``: RFC 5424 and RFC 3164."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parsing import parse
from pydantic import ValidationError

from ingest.connectors import TIMESTAMP, Records
from ingest.connectors.testing import TransformContract
from ingest.transforms.parse import Parse

OLD = "<34>Oct 11 22:14:15 mymachine su[77]: 'su root' failed for lonvick on /dev/pts/8"
NEW = (
    "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 "
    '[exampleSDID@32473 iut="3" eventSource="App\\"lication\\]"][x] \ufeffAn event'
)
NOON = int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp() * 1000)


class TestSyslog(TransformContract):
    def transform(self) -> Parse:
        return Parse(Parse.Settings(format="syslog"))

    def good(self) -> pa.Array:
        return pa.array([OLD, NEW, "Oct 11 22:14:15 host message"])

    def bad(self) -> pa.Array:
        return pa.array(["no syslog at all"])


def one(line: str, **settings: Any) -> dict[str, Any]:
    found = parse([line], modified_ms=NOON, format="syslog", **settings)
    assert found.reasons == {}
    row: dict[str, Any] = found.rows[0]
    return row


def test_rfc_5424() -> None:
    assert one(NEW) == {
        "facility": 20,
        "severity": 5,
        "time": datetime(2003, 10, 11, 22, 14, 15, 3000, tzinfo=UTC),
        "host": "mymachine.example.com",
        "app": "evntslog",
        "pid": None,
        "msgid": "ID47",
        "structured_data": r'[exampleSDID@32473 iut="3" eventSource="App\"lication\]"][x]',
        "message": "An event",
    }


def test_rfc_5424_with_nothing_but_dashes() -> None:
    row = one("<0>1 - - - - - -")
    assert row.pop("facility") == row.pop("severity") == 0
    assert set(row.values()) == {None, ""}


def test_rfc_3164() -> None:
    assert one(OLD) == {
        "facility": 4,
        "severity": 2,
        "time": datetime(2025, 10, 11, 22, 14, 15, tzinfo=UTC),
        "host": "mymachine",
        "app": "su",
        "pid": "77",
        "msgid": None,
        "structured_data": None,
        "message": "'su root' failed for lonvick on /dev/pts/8",
    }


@pytest.mark.parametrize(
    ("line", "app", "pid", "message"),
    [
        ("Jan  3 09:47:02 veridian sudo: timstack : TTY=pts/6", "sudo", None, "timstack : TTY=pts/6"),
        ("Jan  3 09:47:02 veridian last message repeated 2 times", None, None, "last message repeated 2 times"),
        ("2026-01-31T10:00:00.5+01:00 web app[9]:no blank", "app", "9", "no blank"),
        ("Jan  3 09:47:02 veridian postfix/smtpd[1]: x: y", "postfix/smtpd", "1", "x: y"),
        ("Jan  3 09:47:02 veridian ", None, None, ""),
        ("Jan  3 09:47:02 veridian app: two\n lines", "app", None, "two\n lines"),
    ],
)
def test_tags_of_files(line: str, app: str | None, pid: str | None, message: str) -> None:
    row = one(line)
    assert (row["app"], row["pid"], row["message"]) == (app, pid, message)


def test_a_year_is_taken_from_the_files_own_time() -> None:
    found = parse(["Dec 31 23:59:59 h a: x", "Jan  3 00:00:00 h a: x"], modified_ms=NOON, format="syslog")
    assert [row["time"].year for row in found.rows] == [2025, 2026]
    assert found.timestamps == [row["time"] for row in found.rows]


def test_a_year_that_is_set_or_written_wins() -> None:
    assert one("Oct 11 22:14:15 h a: x", year=2009)["time"].year == 2009
    assert one("Oct 11 2011 22:14:15 h a: x", year=2009)["time"].year == 2011
    assert one("Feb 29 22:14:15 h a: x")["time"].year == 2024


def test_without_a_files_time_the_records_own_counts() -> None:
    stamp = pa.array([NOON], pa.int64()).cast(TIMESTAMP)
    records = Records(value=pa.array(["Oct 11 22:14:15 h a: x"]), timestamp=stamp)
    result = Parse(Parse.Settings(format="syslog")).apply(records, {})
    assert result.records[0].value.to_pylist()[0]["time"].year == 2025


def test_times_without_a_zone_are_in_the_timezone_that_is_set() -> None:
    row = one("Jan  3 09:00:00 h a: x", timezone="America/Los_Angeles")
    assert row["time"] == datetime(2026, 1, 3, 17, tzinfo=UTC)
    assert one(NEW, timezone="America/Los_Angeles")["time"].hour == 22


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "syslog: not a line of RFC 3164"),
        ("<34>1 nonsense", "syslog: not a line of RFC 5424"),
        (NEW.replace("[x]", "[x"), "syslog: not a line of RFC 5424"),
        ("<192>" + OLD[4:], "syslog: the priority is above 191"),
        (OLD.replace("Oct 11", "Feb 30"), "syslog: no such time: Feb 30 22:14:15"),
        (NEW.replace("2003-10-11", "2003-13-11"), "syslog: no such time: 2003-13-11T22:14:15.003Z"),
    ],
)
def test_a_refused_line_says_why_and_its_neighbours_stay(line: str, reason: str) -> None:
    found = parse([OLD, line, NEW], format="syslog")
    assert found.reasons == {1: reason}
    assert len(found.rows) == 2


def test_a_year_must_be_one() -> None:
    with pytest.raises(ValidationError):
        Parse.Settings(format="syslog", year=0)


@st.composite
def mutations(draw: st.DrawFn) -> str:
    line = draw(st.sampled_from([OLD, NEW]))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(line)))
        line = line[:at] + draw(st.text(alphabet='<>[]"\\ -0aé', max_size=2)) + line[at + draw(st.integers(0, 2)) :]
    return line


@settings(max_examples=30, deadline=None)
@given(st.lists(mutations(), min_size=1, max_size=5))
def test_a_line_fares_alike_alone_and_beside_others(lines: list[str]) -> None:
    together = parse(lines, modified_ms=NOON, format="syslog")
    alone = [parse([line], modified_ms=NOON, format="syslog") for line in lines]
    assert together.rows == [row for each in alone for row in each.rows]
    assert list(together.reasons.values()) == [why for each in alone for why in each.reasons.values()]
