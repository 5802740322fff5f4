"""Logs that other people's programs wrote, parsed and held against what their publishers say is in them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from needs import SHARED_DATA, needs
from parsing import Outcome, parse

EDGE = SHARED_DATA / "lnav-edge-logs"
LOGHUB = SHARED_DATA / "loghub-2k"
MODIFIED = int(datetime(2026, 6, 1, tzinfo=UTC).timestamp() * 1000)
HDFS = r"^(?P<date>\d{6}) (?P<time>\d{6}) (?P<pid>\d+) (?P<level>\w+) (?P<component>\S+): (?P<content>.*)$"

# Each file with the settings that read it, how many rows that gives, and which lines are refused.
CASES: dict[str, tuple[dict[str, Any], int, list[int]]] = {
    "logfile_access_log.0": ({"format": "combined"}, 3, []),
    "logfile_access_log.1": ({"format": "combined"}, 1, []),
    "logfile_bad_access_log.0": ({"format": "combined"}, 2, [1]),
    "logfile_bro_conn.log.0": ({"format": "zeek"}, 92, []),
    "logfile_w3c.0": ({"format": "w3c"}, 1, []),
    "logfile_w3c.1": ({"format": "w3c"}, 1, []),
    "logfile_logfmt.0": ({"format": "logfmt", "timestamp": "time"}, 5, []),
    "logfile_syslog.0": ({"format": "syslog"}, 4, []),
    "logfile_syslog.1": ({"format": "syslog"}, 4, []),
    "logfile_syslog.2": ({"format": "syslog"}, 3, []),
    "logfile_syslog.3": ({"format": "syslog"}, 7, [3, 4, 6, 7, 9, 10, 12, 13, 15, 16]),
    "logfile_with_zones.0": ({"format": "syslog"}, 3, []),
    "logfile_haproxy.0": ({"format": "syslog"}, 17, []),
    "logfile_dst.0": ({"format": "syslog", "timezone": "America/Los_Angeles"}, 10, []),
    "logfile_json.json": ({"format": "json"}, 13, [13]),  # a list of a text and an object has no type
    "logfile_invalid_json.json": ({"format": "json"}, 4, [2]),
    "logfile_mixed_json2.json": ({"format": "json"}, 12, [3, 4, 5, 6, 7, 17]),
    "logfile_nested_json.json": ({"format": "json"}, 13, []),
    "logfile_bunyan.0": ({"format": "json", "timestamp": "time"}, 10, []),
    "logfile_journald.json": ({"format": "json"}, 2, []),
    "logfile_ecs_log.json": ({"format": "json", "timestamp": "@timestamp"}, 5, []),
    "logfile_crlf.0": (
        {"format": "grok", "pattern": "^%{TIMESTAMP_ISO8601:time:timestamp}:%{LOGLEVEL:level}:%{GREEDYDATA:text}$"},
        2,
        [],
    ),
    "logfile_epoch.0": (
        {"format": "regex", "pattern": r"^(?P<t>\d+) (?P<text>.*)", "timestamp": "t", "time_format": "epoch_ms"},
        2,
        [],
    ),
    "logfile_empty.0": ({"format": "combined"}, 0, []),
    "logfile_plain.0": ({"format": "combined"}, 0, [0, 1, 2]),
}


def lines_of(path: Path) -> list[bytes]:
    needs(path.exists(), f"real logs: {path}")
    lines = path.read_bytes().split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix(b"\r") for line in lines]


def outcome(path: Path, **settings: Any) -> Outcome:
    return parse(lines_of(path), modified_ms=MODIFIED, **settings)


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_line_is_a_row_or_refused_as_expected(name: str) -> None:
    settings, rows, refused = CASES[name]
    found = outcome(EDGE / name, **settings)
    assert (len(found.rows), sorted(found.reasons)) == (rows, refused)


def test_a_regex_agrees_with_the_publishers_own_parse_of_hdfs() -> None:
    found = outcome(LOGHUB / "HDFS_2k.log", format="regex", pattern=HDFS)
    theirs = pa.csv.read_csv(
        LOGHUB / "HDFS_2k.log_structured.csv",
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(["Date", "Time", "Pid", "Level", "Component", "Content"], pa.string())
        ),
    )
    assert found.reasons == {}
    for name in ("date", "time", "pid", "level", "component", "content"):
        assert [row[name] for row in found.rows] == theirs[name.capitalize()].to_pylist(), name


def test_hdfs_times_in_their_own_pattern() -> None:
    pattern = HDFS.replace("(?P<date>\\d{6}) (?P<time>\\d{6})", "(?P<at>\\d{6} \\d{6})")
    found = outcome(
        LOGHUB / "HDFS_2k.log", format="regex", pattern=pattern, timestamp="at", time_format="%y%m%d %H%M%S"
    )
    assert found.timestamps[0] == datetime(2008, 11, 9, 20, 36, 15, tzinfo=UTC)
    assert len(found.timestamps) == 2000


def test_every_line_of_openssh_is_syslog_of_the_year_before_its_file() -> None:
    found = outcome(LOGHUB / "OpenSSH_2k.log", format="syslog")
    assert found.reasons == {}
    assert {(row["host"], row["app"], row["time"].year) for row in found.rows} == {("LabSZ", "sshd", 2025)}
    assert len(found.rows) == 2000


def test_apache_error_lines_by_grok() -> None:
    pattern = r"^\[(?P<time>[^\]]+)\] \[%{LOGLEVEL:level}\] %{GREEDYDATA:text}$".replace(
        "(?P<time>[^\\]]+)", "%{STAMP:time}"
    )
    found = outcome(
        LOGHUB / "Apache_2k.log",
        format="grok",
        pattern=pattern,
        patterns={"STAMP": r"[^\]]+"},
        timestamp="time",
        time_format="%a %b %d %H:%M:%S %Y",
    )
    assert found.reasons == {}
    assert found.timestamps[0] == datetime(2005, 12, 4, 4, 47, 44, tzinfo=UTC)
    assert {row["level"] for row in found.rows} == {"notice", "error"}


def test_the_first_connection_of_zeek_is_typed() -> None:
    row = outcome(EDGE / "logfile_bro_conn.log.0", format="zeek").rows[0]
    assert (row["id.orig_p"], row["duration"], row["service"], row["tunnel_parents"]) == (52025, 2.12585, None, [])
    assert row["ts"] == datetime(2011, 11, 3, 0, 19, 14, 496_300, tzinfo=UTC)


def test_rotated_syslog_of_two_years() -> None:
    early = int(datetime(2026, 1, 4, tzinfo=UTC).timestamp() * 1000)
    found = parse(lines_of(EDGE / "logfile_syslog.1"), modified_ms=early, format="syslog")
    assert [row["time"].year for row in found.rows] == [2025, 2025, 2025, 2026]


def test_bytes_that_are_no_text_are_refused_alone() -> None:
    found = outcome(EDGE / "logfile_invalid_utf8.0", format="regex", pattern="(?P<line>.*)")
    assert list(found.reasons) == [3]
    assert "not UTF-8 at byte" in found.reasons[3]


mutation = st.tuples(
    st.integers(0, 10_000),
    st.integers(0, 3),
    st.one_of(st.binary(max_size=3), st.sampled_from([b'"', b"\\", b"\t", b"#"])),
)


@pytest.mark.parametrize("name", sorted(set(CASES) - {"logfile_empty.0"}))
@settings(max_examples=12, deadline=None)
@given(damage=st.lists(mutation, min_size=1, max_size=4), at=st.integers(0, 10_000))
def test_a_damaged_line_does_not_change_what_its_neighbours_are(
    name: str, damage: list[tuple[int, int, bytes]], at: int
) -> None:
    how = CASES[name][0]
    lines = lines_of(EDGE / name)[:20]
    # what a header says, and which columns JSON has, is meant to reach other lines
    bodies = [number for number, line in enumerate(lines) if not line.startswith((b"#", b"{"))]
    if not bodies:
        pytest.skip("nothing but headers and objects")
    victim = bodies[at % len(bodies)]
    broken = damaged(lines[victim], damage)
    found = parse([*lines[:victim], broken, *lines[victim + 1 :]], modified_ms=MODIFIED, **how)
    whole = parse(lines, modified_ms=MODIFIED, **how)
    assert set(found.reasons) - {victim} == set(whole.reasons) - {victim}
    if (
        victim not in found.reasons
        and victim not in whole.reasons
        and not broken.lstrip().startswith(b"#")
        and broken.strip()
    ):
        assert len(found.rows) == len(whole.rows)


def damaged(line: bytes, damage: list[tuple[int, int, bytes]]) -> bytes:
    broken = bytearray(line)
    for place, cut, put in damage:
        start = place % (len(broken) + 1)
        broken[start : start + cut] = put
    return bytes(broken).replace(b"\n", b" ")
