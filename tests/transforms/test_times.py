"""Texts and numbers as instants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import ConfigError
from ingest.transforms.times import TimeReader


def read(
    text: object, time_format: str | None = None, zone: str | None = None, around: datetime | None = None
) -> object:
    around_ms = None if around is None else int(around.timestamp() * 1000)
    return TimeReader(time_format, zone).read(pa.array([text]), around_ms).to_pylist()[0]


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-31", utc(2026, 1, 31)),
        ("2026-01-31T10", utc(2026, 1, 31, 10)),
        ("2026-01-31 10:11", utc(2026, 1, 31, 10, 11)),
        ("2026-01-31T10:11:12Z", utc(2026, 1, 31, 10, 11, 12)),
        ("2026-01-31t10:11:12z", utc(2026, 1, 31, 10, 11, 12)),
        ("2026-01-31T10:11:12.5+02:00", utc(2026, 1, 31, 8, 11, 12, 500_000)),
        ("2026-01-31T10:11:12-0230", utc(2026, 1, 31, 12, 41, 12)),
        ("2026-01-31 10:11:12,345 UTC", utc(2026, 1, 31, 10, 11, 12, 345_000)),
        ("2026-01-31T10:11:12.123456789Z", utc(2026, 1, 31, 10, 11, 12, 123_456)),
        ("2016-12-31T23:59:60Z", utc(2017, 1, 1)),
        ("0001-01-01", utc(1, 1, 1)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        ("2026-02-29", None),
        ("2026-01-31T24:00:00", None),
        ("2026-01-31T10:60:00", None),
        ("2026-13-01", None),
        ("2026-01-31T10:11:12+24:00", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_iso_8601(text: str | None, instant: datetime | None) -> None:
    assert TimeReader().read(pa.array([text], pa.string())).to_pylist() == [instant]


@pytest.mark.parametrize(
    ("time_format", "text", "instant"),
    [
        ("%d/%b/%Y:%H:%M:%S %z", "31/Jan/2026:00:00:05 +0100", utc(2026, 1, 30, 23, 0, 5)),
        ("%y%m%d %H%M%S", "081109 203615", utc(2008, 11, 9, 20, 36, 15)),
        ("%a %b %d %H:%M:%S %Y", "Sun Dec 04 04:47:44 2005", utc(2005, 12, 4, 4, 47, 44)),
        ("%A, %B %e %Y %I:%M %p", "Wednesday, May  4 2022 12:05 AM", utc(2022, 5, 4, 0, 5)),
        ("%Y.%j %H", "2024.366 23", utc(2024, 12, 31, 23)),
        ("%F %T.%f", "2026-01-31 10:11:12.000001999", utc(2026, 1, 31, 10, 11, 12, 1)),
        ("%s", "1428634687", utc(2015, 4, 10, 2, 58, 7)),
        ("%s.%f", "1428634687.25", utc(2015, 4, 10, 2, 58, 7, 250_000)),
        ("%F %T %Z", "2026-01-31 10:11:12 GMT", utc(2026, 1, 31, 10, 11, 12)),
        ("%F %T %Z", "2026-01-31 10:11:12 PDT", None),
        ("%d.%m.%y", "31.12.68", utc(2068, 12, 31)),
        ("%d.%m.%y", "31.12.69", utc(1969, 12, 31)),
        ("100%% %F", "100% 2026-01-31", utc(2026, 1, 31)),
        ("%F", "2026-01-31 ", None),
        ("%I %p %F", "13 PM 2026-01-31", None),
        ("%Y.%j", "2023.366", None),
    ],
)
def test_patterns(time_format: str, text: str, instant: datetime | None) -> None:
    assert read(text, time_format) == instant


def test_the_name_of_a_zone_counts_as_the_timezone_setting_where_there_is_one() -> None:
    assert read("2026-07-31 10:11:12 PDT", "%F %T %Z", "America/Los_Angeles") == utc(2026, 7, 31, 17, 11, 12)
    assert read("2026-07-31 10:11:12 UTC", "%F %T %Z", "America/Los_Angeles") == utc(2026, 7, 31, 10, 11, 12)


@pytest.mark.parametrize("time_format", [None, "%F %T"])
def test_a_time_that_stands_twice_is_the_earlier_and_one_that_is_missing_ends_the_gap(time_format: str | None) -> None:
    assert read("2021-10-31 02:30:00", time_format, "Europe/Berlin") == utc(2021, 10, 31, 0, 30)
    assert read("2021-03-28 02:30:00", time_format, "Europe/Berlin") == utc(2021, 3, 28, 1, 0)


def test_an_offset_is_a_timezone() -> None:
    assert read("2026-01-31 10:00:00", zone="+05:30") == utc(2026, 1, 31, 4, 30)


@pytest.mark.parametrize(
    ("time_format", "number", "instant"),
    [
        ("epoch_s", 1428634687, utc(2015, 4, 10, 2, 58, 7)),
        ("epoch_s", "1761019822.3152757", utc(2025, 10, 21, 4, 10, 22, 315_275)),
        ("epoch_s", 1761019822.25, utc(2025, 10, 21, 4, 10, 22, 250_000)),
        ("epoch_ms", "1428634687123", utc(2015, 4, 10, 2, 58, 7, 123_000)),
        ("epoch_us", 1428634687123456, utc(2015, 4, 10, 2, 58, 7, 123_456)),
        ("epoch_ns", "1700000000000000999", utc(2023, 11, 14, 22, 13, 20)),
        ("epoch_s", -1, utc(1969, 12, 31, 23, 59, 59)),
        ("epoch_s", "1e5", None),
        ("epoch_s", "", None),
        ("epoch_s", 2**62, None),
        ("epoch_s", float("nan"), None),
    ],
)
def test_numbers_count_from_1970(time_format: str, number: object, instant: datetime | None) -> None:
    assert read(number, time_format) == instant


def test_a_year_that_is_not_written_is_the_latest_that_is_not_in_the_future() -> None:
    lines = ["Dec 31 23:59:59", "Jan  1 00:00:00", "Jan  2 11:00:00", "Jan  2 13:00:00", "Feb 29 12:00:00"]
    found = TimeReader("%b %e %T").read(pa.array(lines), int(utc(2026, 1, 1, 12).timestamp() * 1000))
    assert found.to_pylist() == [
        utc(2025, 12, 31, 23, 59, 59),
        utc(2026, 1, 1),
        utc(2026, 1, 2, 11),  # within the day that clocks and zones may differ
        utc(2025, 1, 2, 13),
        utc(2024, 2, 29, 12),
    ]


def test_a_year_can_be_set() -> None:
    assert TimeReader("%b %e %T", year=2009).read(pa.array(["Nov  3 09:23:38"]), 0).to_pylist() == [
        utc(2009, 11, 3, 9, 23, 38)
    ]


def test_instants_of_the_batch_stay_what_they_are() -> None:
    kind = pa.timestamp("ns", "Europe/Berlin")
    column = pa.array([1_500_000_000_000_000_999], pa.int64()).cast(kind)
    assert TimeReader().read(column).cast(pa.int64()).to_pylist() == [1_500_000_000_000_000]


@pytest.mark.parametrize(
    ("time_format", "words"),
    [
        ("%Q", "there is no %Q"),
        ("%d %d %m", "the day twice"),
        ("%H:%M", "no day"),
        ("%d", "no month"),
        ("%F %", "no %"),
    ],
)
def test_patterns_that_cannot_be(time_format: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TimeReader(time_format)


def test_a_timezone_that_is_none() -> None:
    with pytest.raises(ConfigError, match="there is no time zone Berlin") as caught:
        TimeReader(timezone="Berlin")
    assert caught.value.facts["setting"] == "timezone"


def test_numbers_without_a_unit_are_the_pipelines_mistake() -> None:
    with pytest.raises(ConfigError, match="is no time"):
        TimeReader().read(pa.array([1]))


moments = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30))
offsets = st.one_of(st.none(), st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m))))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(moments, offsets), min_size=1, max_size=6))
def test_what_python_writes_is_read_alike_whatever_stands_beside_it(
    given_times: list[tuple[datetime, timezone]],
) -> None:
    stamps = [moment.replace(tzinfo=zone) for moment, zone in given_times]
    found = TimeReader().read(pa.array([stamp.isoformat() for stamp in stamps])).cast(pa.int64()).to_pylist()
    epoch = utc(1970, 1, 1)
    expected = [(stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)) - epoch for stamp in stamps]
    assert found == [each // timedelta(microseconds=1) for each in expected]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="0123456789-:.,TZ+ ", max_size=30), min_size=1, max_size=4))
def test_a_text_is_read_alike_alone_and_beside_others(texts: list[str]) -> None:
    reader = TimeReader()
    together = reader.read(pa.array(texts)).to_pylist()
    assert together == [reader.read(pa.array([text])).to_pylist()[0] for text in texts]
