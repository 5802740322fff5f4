"""Cron expressions as Vixie's cron has them, and clock changes."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ingest.sources.sql.cron import parse_cron


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "moment", "due"),
    [
        ("*/5 * * * *", "2026-01-31 12:00:00", "2026-01-31 12:05"),
        ("*/5 * * * *", "2026-01-31 12:04:59", "2026-01-31 12:05"),
        ("0 0 * * *", "2026-01-31 00:00", "2026-02-01 00:00"),
        ("@daily", "2026-12-31 23:59:59", "2027-01-01 00:00"),
        ("30 9 * * mon-fri", "2026-01-30 09:30", "2026-02-02 09:30"),
        ("0 12 * * 7", "2026-01-31 12:00", "2026-02-01 12:00"),
        ("0 12 * * 0", "2026-01-31 12:00", "2026-02-01 12:00"),
        ("0 0 29 feb *", "2026-01-31 12:00", "2028-02-29 00:00"),
        ("0 0 13 * 5", "2026-01-31 12:00", "2026-02-06 00:00"),
        ("0 0 */2 * 5", "2026-01-31 12:00", "2026-02-13 00:00"),
        ("1,3-5,50-59/4 8 1 1 *", "2026-01-01 08:50", "2026-01-01 08:54"),
        ("10/20 * * * *", "2026-01-01 08:11", "2026-01-01 08:30"),
    ],
)
def test_the_next_time(expression: str, moment: str, due: str) -> None:
    assert parse_cron(expression).after(at(moment)) == at(due)


@pytest.mark.parametrize(
    ("moment", "due"),
    [
        ("2026-03-28 12:00", "2026-03-30 00:30"),  # 02:30 is skipped on 29 March: it is left out
        ("2026-10-24 12:00", "2026-10-25 00:30"),  # 02:30 comes twice on 25 October: the first counts
        ("2026-10-25 00:30", "2026-10-26 01:30"),
    ],
)
def test_clock_changes(moment: str, due: str) -> None:
    assert parse_cron("30 2 * * *").after(at(moment), ZoneInfo("Europe/Berlin")) == at(due)


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("* * * *", "five fields"),
        ("60 * * * *", "minute: '60' is not between 0 and 59"),
        ("* * 0 * *", "day"),
        ("* * * foo *", "month"),
        ("*/0 * * * *", "step"),
        ("5-1 * * * *", "ends before it begins"),
        ("", "five fields"),
        ("-1 * * * *", "minute"),
        ("0 0 31 feb *", "no day fits"),
    ],
)
def test_what_is_no_expression_is_said(expression: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        parse_cron(expression)
