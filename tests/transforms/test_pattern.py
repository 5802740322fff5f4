"""``regex`` and ``grok``: named groups become columns."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from parsing import parse

from ingest.connectors.testing import TransformContract
from ingest.errors import ConfigError
from ingest.transforms.parse import Parse
from ingest.transforms.parsers.grok import expand
from ingest.transforms.parsers.grok_patterns import PATTERNS
from ingest.transforms.regexes import check_regex

PATTERN = r"^(?P<at>\S+ \S+) (?P<level>[A-Z]+)(?: \[(?P<thread>[^\]]*)\])? (?P<message>.*)$"
LINE = "2026-01-31 08:00:00.120 INFO [main] listening"


class TestRegex(TransformContract):
    def transform(self) -> Parse:
        return Parse(Parse.Settings(format="regex", pattern=PATTERN, types={"at": "timestamp"}))

    def good(self) -> pa.Array:
        return pa.array([LINE, LINE.replace(" [main]", ""), LINE.replace("main", "")])

    def bad(self) -> pa.Array:
        return pa.array(["nothing of it"])


class TestGrok(TransformContract):
    def transform(self) -> Parse:
        return Parse(Parse.Settings(format="grok", pattern="%{IP:client} %{NUMBER:took:float}"))

    def good(self) -> pa.Array:
        return pa.array(["192.0.2.1 1.5", "::1 2", "2001:db8::1 .5"])

    def bad(self) -> pa.Array:
        return pa.array(["elsewhere 1"])


def test_groups_become_columns() -> None:
    found = parse([LINE], format="regex", pattern=PATTERN, types={"at": "timestamp"}, timezone="+01:00")
    at = datetime(2026, 1, 31, 7, 0, 0, 120_000, tzinfo=UTC)
    assert found.rows == [{"at": at, "level": "INFO", "thread": "main", "message": "listening"}]
    assert found.timestamps == [at]


def test_a_group_that_took_no_part_is_null_and_an_empty_one_is_empty() -> None:
    lines = [LINE.replace(" [main]", ""), LINE.replace("main", "")]
    assert [row["thread"] for row in parse(lines, format="regex", pattern=PATTERN).rows] == [None, ""]


def test_a_pattern_is_looked_for_anywhere_unless_anchored() -> None:
    assert parse(["xx n=5 yy"], format="regex", pattern=r"n=(?P<n>\d+)").rows == [{"n": "5"}]
    assert parse(["xx n=5"], format="regex", pattern=r"^n=(?P<n>\d+)").reasons == {
        0: "the line does not match the pattern"
    }


def test_the_timestamp_setting_makes_a_column_one() -> None:
    found = parse(["1428634687123 x"], format="regex", pattern=r"^(?P<t>\d+)", timestamp="t", time_format="epoch_ms")
    assert found.timestamps == [datetime(2015, 4, 10, 2, 58, 7, 123_000, tzinfo=UTC)]


def test_groups_without_a_name_are_no_columns() -> None:
    pattern = r"^(a|\(b)[(] ([^](]*)[[:alpha:](]\Q((\E(?i)(?P<x>(c)+)$"
    assert parse(["a( ]d((cC"], format="regex", pattern=pattern).reasons
    assert parse(["(b( xd((cC"], format="regex", pattern=pattern).rows == [{"x": "cC"}]


def test_time_does_not_explode_on_a_hostile_line() -> None:
    assert parse(["a" * 50_000 + "!"], format="regex", pattern=r"^(?P<x>(a+)+)$").reasons


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(?P<x>", "no regular expression"),
        (r"\d+", "no named group"),
        (r"(?P<x>(?=a))", "no regular expression"),
        (r"(?P<x>a)(?P<x>b)", "two groups are named x"),
    ],
)
def test_patterns_that_cannot_be(pattern: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Parse(Parse.Settings(format="regex", pattern=pattern))
    assert caught.value.facts["setting"] == "pattern"


def test_types_name_groups() -> None:
    with pytest.raises(ConfigError, match="no group nn"):
        Parse(Parse.Settings(format="regex", pattern=r"(?P<n>\d+)", types={"nn": "int64"}))


def test_grok_names_columns_and_types() -> None:
    found = parse(
        ["55.3.244.1 GET /index.html 15824 0.043 done"],
        format="grok",
        pattern="^%{IP:client} %{WORD:method} %{URIPATHPARAM:request} %{INT:bytes:int} %{NUMBER:took:float} %{WORD}$",
    )
    assert found.rows == [
        {"client": "55.3.244.1", "method": "GET", "request": "/index.html", "bytes": 15824, "took": 0.043}
    ]


def test_grok_columns_may_have_names_that_no_group_can_have() -> None:
    assert parse(["a b"], format="grok", pattern="%{WORD:http.method} %{WORD:[x][y]}").rows == [
        {"http.method": "a", "[x][y]": "b"}
    ]


def test_grok_patterns_of_ones_own_nest_and_win() -> None:
    own = {"NAME": "%{FIRST:first} %{WORD:last}", "FIRST": "[A-Z][a-z]+", "WORD": "[A-Z]+"}
    found = parse(["Ada LOVELACE", "Ada Lovelace"], format="grok", pattern="^%{NAME}$", patterns=own)
    assert found.rows == [{"first": "Ada", "last": "LOVELACE"}]


def test_grok_of_a_web_server() -> None:
    line = '192.0.2.1 - alice [31/Jan/2026:00:00:05 +0100] "GET /p HTTP/1.1" 200 - "-" "curl/8"'
    found = parse(
        [line], format="grok", pattern="^%{COMBINEDAPACHELOG}$", types={"response": "int32", "bytes": "int64"}
    )
    row = found.rows[0]
    assert (row["clientip"], row["auth"], row["verb"], row["response"]) == ("192.0.2.1", "alice", "GET", 200)
    assert (row["bytes"], row["rawrequest"], row["agent"]) == (None, None, '"curl/8"')


@pytest.mark.parametrize(
    ("pattern", "own", "words"),
    [
        ("%{WROD:x}", {}, "there is no pattern WROD"),
        ("%{A:x}", {"A": "%{B}", "B": "%{A}"}, "A holds itself"),
        ("%{WORD:x} %{WORD:x}", {}, "two parts are named x"),
        ("%{WORD}", {}, "no named group"),
        ("%{WORD:x:intt}", {}, "no type intt"),
        ("%{A:x}", {"A": "%{B}" * 40, "B": "%{C}" * 40, "C": "%{IPV6}" * 40}, "too long"),
    ],
)
def test_grok_patterns_that_cannot_be(pattern: str, own: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Parse(Parse.Settings(format="grok", pattern=pattern, patterns=own))


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_every_pattern_that_is_shipped_is_one_of_re2(name: str) -> None:
    check_regex(expand(f"%{{{name}:x}}").regex, "pattern")


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("INT", ["0", "-12", "+3"], ["1.5", "x", ""]),
        ("NUMBER", ["0", "-1.5", ".5"], ["1e", "."]),
        ("IPV4", ["0.0.0.0", "255.255.255.255"], ["256.1.1.1", "1.2.3"]),
        (
            "IPV6",
            ["::", "::1", "fe80::1%eth0", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1", "2001:db8::"],
            ["1:2", ":::", "g::"],
        ),
        ("MAC", ["00:1B:44:11:3A:B7", "001B.4411.3AB7", "00-1b-44-11-3a-b7"], ["00:1B:44:11:3A"]),
        ("HOSTNAME", ["localhost", "a-b.example.org"], ["-a", "a b"]),
        ("IPORHOST", ["::", "fe80::1%eth0", "192.0.2.1", "a.example"], ["a b", ":", ""]),
        ("HOSTPORT", ["localhost:80", "[::1]:80"[1:4] + ":80"], ["localhost"]),
        ("EMAILADDRESS", ["a.b+c@example.org"], ["example.org"]),
        ("URI", ["https://user:pw@example.org:8080/a/b?c=d", "file:///etc/hosts"], ["example.org/a"]),
        ("UNIXPATH", ["/", "/usr/local/bin"], ["usr"]),
        ("WINPATH", ["C:\\Windows\\x.exe"], ["Windows"]),
        ("UUID", ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567"]),
        ("QUOTEDSTRING", ['"a \\" b"', "'x'"], ['"open']),
        (
            "TIMESTAMP_ISO8601",
            ["2026-01-31T10:00:00Z", "2026-01-31 10:00:00,123", "2026-01-31T10:00+01:00"],
            ["31.01.2026"],
        ),
        ("HTTPDATE", ["31/Jan/2026:00:00:05 +0100"], ["31/01/2026:00:00:05 +0100"]),
        ("SYSLOGTIMESTAMP", ["Jan  3 09:47:02", "Jan 31 09:47:02"], ["2026-01-31"]),
        ("DATE", ["31.01.2026", "01/31/26"], ["2026"]),
        ("LOGLEVEL", ["INFO", "warn", "Error"], ["LOUD"]),
        ("MONTH", ["January", "may", "SEP"], ["Janu"]),
        ("DAY", ["Monday", "sun"], ["Mond"]),
        ("JAVACLASS", ["org.example.Main$1"], ["1x"]),
        ("BASE16NUM", ["0xFF", "cafe"], ["xyz"]),
    ],
)
def test_what_the_shipped_patterns_stand_for(name: str, good: list[str], bad: list[str]) -> None:
    pattern = f"^%{{{name}:x}}$"
    assert [row["x"] for row in parse(good, format="grok", pattern=pattern).rows] == good
    assert list(parse(bad, format="grok", pattern=pattern).reasons) == list(range(len(bad)))


def test_no_pattern_needs_what_only_other_engines_have() -> None:
    assert not [name for name, text in PATTERNS.items() if re.search(r"\(\?[=!>]|\(\?<[=!]", text)]
