"""Access-log lines: what becomes of each column, and the compiled kernel against its twin."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.connectors import TIMESTAMP, Records
from ingest.connectors.testing import TransformContract
from ingest.transforms.parse import Parse
from ingest.transforms.parsers import access_log
from ingest.transforms.parsers.access_log_twin import access_lines as twin
from ingest.transforms.parsers.access_log_twin import explain, parse_line

LINE = '192.0.2.1 - alice [31/Jan/2026:00:00:05 +0100] "GET /products/7 HTTP/1.1" 200 5120 "-" "curl/8.11.1"'
WITHOUT_AGENT = '192.0.2.1 - alice [31/Jan/2026:00:00:05 +0100] "GET /products/7 HTTP/1.1" 200 5120'

kernel_or_twin = pytest.mark.parametrize(
    "kernel",
    [
        pytest.param(twin, id="twin"),
        pytest.param(
            access_log.compiled,
            id="compiled",
            marks=pytest.mark.skipif(access_log.compiled is None, reason="the kernels are not built"),
        ),
    ],
)


def parse(*lines: str | bytes | None, name: str = "combined") -> tuple[list[dict[str, object] | None], list[str]]:
    value = pa.array([line.encode() if isinstance(line, str) else line for line in lines], pa.binary())
    result = Parse(Parse.Settings(format=name)).apply(Records(value=value), {})
    rows = [row for records in result.records for row in records.value.to_pylist()]
    return rows, [reason for rejected in result.rejected for reason in rejected.reasons]


def one(line: str, name: str = "combined") -> dict[str, object]:
    rows, reasons = parse(line, name=name)
    assert reasons == []
    assert rows[0] is not None
    return rows[0]


class TestParse(TransformContract):
    def transform(self) -> Parse:
        return Parse(Parse.Settings(format="combined"))

    def good(self) -> pa.Array:
        return pa.array([LINE, LINE.replace("200", "404"), LINE.replace("5120", "-") + " 0.004"])

    def bad(self) -> pa.Array:
        return pa.array(['192.0.2.1 - - [31/Jan/2026:00:00:05 +0100] "GET / HTTP/1.1'])


def test_a_request_becomes_typed_columns() -> None:
    assert one(LINE) == {
        "host": "192.0.2.1",
        "ident": "-",
        "user": "alice",
        "time": datetime(2026, 1, 30, 23, 0, 5, tzinfo=UTC),
        "method": "GET",
        "path": "/products/7",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": 5120,
        "referer": "-",
        "user_agent": "curl/8.11.1",
        "rest": None,
    }


def test_the_columns_have_the_types_that_are_promised() -> None:
    result = Parse(Parse.Settings(format="combined")).apply(Records(value=pa.array([LINE])), {})
    kinds = {field.name: field.type for field in result.records[0].value.type}
    assert (kinds["time"], kinds["status"], kinds["bytes"]) == (TIMESTAMP, pa.int32(), pa.int64())
    assert {kind for name, kind in kinds.items() if name not in ("time", "status", "bytes")} == {pa.string()}


def test_the_parsed_time_becomes_the_records_timestamp() -> None:
    result = Parse(Parse.Settings(format="combined")).apply(Records(value=pa.array([LINE])), {})
    assert result.records[0].timestamp.to_pylist() == [datetime(2026, 1, 30, 23, 0, 5, tzinfo=UTC)]


def test_common_has_the_same_columns_without_referer_and_agent() -> None:
    row = one(WITHOUT_AGENT, "common")
    assert list(row) == access_log.SCHEMA.names
    assert (row["bytes"], row["referer"], row["user_agent"], row["rest"]) == (5120, None, None, None)


def test_text_behind_the_last_column_goes_to_rest() -> None:
    assert one(LINE + ' "10.0.0.7" 0.004')["rest"] == '"10.0.0.7" 0.004'
    assert one(LINE + " ")["rest"] is None
    assert one(WITHOUT_AGENT + " extra", "common")["rest"] == "extra"


@pytest.mark.parametrize("request_line", ["-", "", "GET /a b HTTP/1.1", "GET  / HTTP/1.1", " GET / HTTP/1.1", "GET /"])
def test_a_request_that_is_not_three_words_stands_whole_in_path(request_line: str) -> None:
    row = one(LINE.replace("GET /products/7 HTTP/1.1", request_line))
    assert (row["method"], row["path"], row["protocol"]) == (None, request_line, None)


def test_quotes_and_backslashes_inside_a_field_stay_as_they_are_in_the_line() -> None:
    row = one(LINE.replace("curl/8.11.1", r"a \"quoted\" agent \\").replace('"-"', r'"\\"'))
    assert (row["referer"], row["user_agent"]) == (r"\\", r"a \"quoted\" agent \\")


def test_a_dash_is_null_for_numbers_and_text_for_texts() -> None:
    row = one('- - - [31/Jan/2026:00:00:05 +0100] "-" - - "-" "-"')
    assert (row["host"], row["user"], row["path"], row["referer"]) == ("-", "-", "-", "-")
    assert (row["status"], row["bytes"]) == (None, None)


@pytest.mark.parametrize(
    ("time", "utc"),
    [
        ("29/Feb/2024:23:59:59 +0000", datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)),
        ("31/Dec/2016:23:59:60 +0000", datetime(2017, 1, 1, tzinfo=UTC)),
        ("01/Jan/1970:00:00:00 -0530", datetime(1970, 1, 1, 5, 30, tzinfo=UTC)),
        ("01/Jan/1900:00:00:00 +0000", datetime(1900, 1, 1, tzinfo=UTC)),
        ("28/Mar/2021:02:30:00 +0200", datetime(2021, 3, 28, 0, 30, tzinfo=UTC)),
    ],
)
def test_times_are_taken_to_utc_by_the_offset_in_the_line(time: str, utc: datetime) -> None:
    assert one(LINE.replace("31/Jan/2026:00:00:05 +0100", time))["time"] == utc


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "combined: expected host and a space at byte 0, found the end of the line"),
        ("192.0.2.1 [20", "combined: expected ident and a space at byte 10, found '[20'"),
        (LINE.replace("[31", "(31"), "combined: expected [dd/Mon/yyyy:hh:mm:ss +hhmm] at byte 18, found '(31/Jan"),
        (LINE.replace("31/Jan", "30/Feb"), "combined: no such time at byte 18: 30/Feb/2026:00:00:05 +0100"),
        (LINE.replace("00:00:05", "24:00:05"), "combined: no such time at byte 18"),
        (LINE.replace(" 200 ", " 2000 "), "combined: expected a status of three digits"),
        (LINE.replace("5120", "9223372036854775808"), "combined: the number of bytes at byte 78 needs more than 64"),
        (WITHOUT_AGENT, "combined: expected a space and the referer in quotes at byte 82, found the end of the line"),
        (LINE[:-1], "combined: expected a space and the user agent in quotes"),
        (LINE + "x", "combined: expected a space or the end of the line at byte 100, found 'x'"),
    ],
)
def test_a_refused_line_says_what_was_expected_where(line: str, reason: str) -> None:
    rows, reasons = parse(line)
    assert rows == []
    assert reasons[0].startswith(reason)


def test_an_open_quote_does_not_take_the_next_line_along() -> None:
    rows, reasons = parse(LINE, LINE[:-1], LINE)
    assert (len(rows), len(reasons)) == (2, 1)


def test_bytes_that_are_no_text_are_refused_alone() -> None:
    rows, reasons = parse(LINE, LINE.encode().replace(b"curl", b"\xff"), LINE[:-1], LINE)
    assert len(rows) == 2
    assert reasons[0] == "not UTF-8 at byte 88: invalid start byte"
    assert len(reasons) == 2


def test_a_tombstone_goes_on_as_one() -> None:
    assert parse(None, LINE)[0][0] is None


HOSTILE = st.lists(
    st.one_of(
        st.sampled_from([b'"', b"\\", b" ", b"[", b"]", b"-", b"200", b"\x00", b"\r", b"\t", "é".encode()]),
        st.binary(max_size=3),
        st.sampled_from(LINE.encode().split(b" ")),
    ),
    max_size=14,
).map(b" ".join)


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    line = bytearray(LINE.encode())
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(line) - 1)))
        cut = draw(st.integers(0, 3))
        line[at : at + cut] = draw(st.one_of(st.binary(max_size=3), st.sampled_from([b'"', b"\\", b'\\"', b" ", b"-"])))
    return bytes(line)


@pytest.mark.skipif(access_log.compiled is None, reason="the kernels are not built")
@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(mutations(), HOSTILE, st.just(LINE.encode())), max_size=8), st.booleans())
def test_kernel_and_twin_agree_on_every_line(lines: list[bytes], combined: bool) -> None:
    offsets = np.cumsum([0, *map(len, lines)]).astype(np.int32)
    data = np.frombuffer(b"".join(lines), np.uint8)
    compiled, plain = (flat(found(offsets, data, combined)) for found in (access_log.compiled, twin))
    for ours, theirs in zip(compiled, plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@settings(max_examples=200, deadline=None)
@given(st.one_of(mutations(), HOSTILE), st.booleans())
def test_every_refused_line_has_a_reason(line: bytes, combined: bool) -> None:
    if parse_line(line, combined) is None:
        assert "byte" in explain(line, combined)


@kernel_or_twin
def test_a_slice_of_lines_is_parsed_where_it_lies(kernel: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "access_lines", kernel)
    lines = pa.array(["x" * 50, LINE, "y", LINE])
    columns, good = access_log.access_columns(lines.slice(1, 2), True)
    assert good.tolist() == [True, False]
    assert columns["path"].to_pylist() == ["/products/7", None]


@kernel_or_twin
def test_no_lines_at_all(kernel: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "access_lines", kernel)
    assert access_log.access_columns(pa.array([], pa.string()), True)[0].num_rows == 0


def flat(result: tuple[object, ...]) -> list[np.ndarray]:
    *numbers, texts = result
    return [*numbers, *(part for text in texts for part in text)]  # type: ignore[attr-defined,misc]
