"""Sqoop 1.4.7 and ``ingest import`` import the same tables: equal rows, and where Sqoop's are not the database's."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from servers.postgres import PostgresServer, postgres_server
from sqoop import Sqoop, SqoopFailed

from ingest.cli.main import main

Row = dict[str, Any]

NULL = "<null>"
TYPES = {
    "id": "bigint PRIMARY KEY",
    "small": "smallint",
    "i": "integer",
    "amount": "numeric(20,2)",
    "free": "numeric",
    "f": "real",
    "d": "double precision",
    "b": "boolean",
    "t": "text",
    "c": "char(5)",
    "x": "bytea",
    "day": "date",
    "at": "time",
    "ts": "timestamp(3)",
    "tz": "timestamptz(3)",
    "u": "uuid",
    "j": "json",
    "list": "int[]",
}
REFUSED = ("u", "j", "list")
"""By Sqoop, unless it is told to take them as texts."""
MAPPED = ("--map-column-java", ",".join(f"{name}=String" for name in REFUSED))
DELIMITERS = ("--escaped-by", "\\", "--null-string", NULL, "--null-non-string", NULL)
ROWS = 500

LOST = {
    "a": ("timestamp", "2026-01-31 12:00:00.123456", 1769860800123, datetime(2026, 1, 31, 12, 0, 0, 123456)),
    "b": ("time", "23:59:59.999999", 86399999, time(23, 59, 59, 999999)),
    "c": ("date", "0001-01-01", -62135769600000, date(1, 1, 1)),  # two days off: it counts as Julius Caesar did
    "d": ("numeric(20,2)", "123.40", "123.40", Decimal("123.40")),
    "e": ("smallint", "7", 7, 7),
    "f": ("money", "12.34", 12.34, "$12.34"),
}
"""By column: its type, a value in SQL, what is in Sqoop's Parquet file, what in ours."""
TYPES_OF_LOST = (
    ("int64", "int64", "int64", "string", "int32", "double"),
    ("timestamp[us]", "time64[us]", "date32[day]", "decimal128(20, 2)", "int16", "string"),
)
"""Sqoop's, ours."""
IN_NEW_YORK = {
    "spring": ("2026-03-08 02:30:00", "2026-03-08 03:30:00.0", datetime(2026, 3, 8, 2, 30)),
    "one": ("2026-11-01 05:30:00+00", "2026-11-01 01:30:00.0", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
    "two": ("2026-11-01 06:30:00+00", "2026-11-01 01:30:00.0", datetime(2026, 11, 1, 6, 30, tzinfo=UTC)),
}
"""On a machine there an hour is missing in spring, and comes twice in autumn. In SQL, in Sqoop's text, in ours."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
def url(server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of an empty database; commands run in ``tmp_path``."""
    monkeypatch.chdir(tmp_path)
    return server.database()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_rows_are_equal_where_sqoop_keeps_them(server: PostgresServer, url: str, tmp_path: Path) -> None:
    declared = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
    server.execute(f"CREATE TABLE same ({declared})", url=url)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        rows = [row(number, random.Random(number)) for number in range(ROWS)]
        cursor.executemany(f"INSERT INTO same VALUES ({', '.join(['%s'] * len(TYPES))})", rows)
    sqoop = Sqoop(tmp_path / "sqoop", url, "same", *MAPPED, *DELIMITERS)
    sqoop.generate()

    sqoop.import_into(tmp_path / "their_text", "--as-textfile")
    imported(url, "same", "our_text", "--as-textfile", "--null-string", NULL, "--validate")
    ours, theirs = (text_of(tmp_path / f"{whose}_text", TYPES) for whose in ("our", "their"))
    assert len(ours) == ROWS
    assert meant(ours, OUR_TEXT) == meant(theirs, THEIR_TEXT)

    sqoop.import_into(tmp_path / "their_parquet", "--as-parquetfile")
    imported(url, "same", "our_parquet", "--validate")
    ours, theirs = (parquet_of(tmp_path / f"{whose}_parquet") for whose in ("our", "their"))
    assert len(ours) == ROWS
    assert meant(ours, OUR_PARQUET) == meant(theirs, THEIR_PARQUET)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_where_sqoops_types_lose_ours_do_not(server: PostgresServer, url: str, tmp_path: Path) -> None:
    columns = ", ".join(f"{name} {kind}" for name, (kind, *_) in LOST.items())
    values = ", ".join(f"'{value}'" for _, value, *_ in LOST.values())
    server.execute(
        f"CREATE TABLE lost (id int PRIMARY KEY, {columns})", f"INSERT INTO lost VALUES (1, {values})", url=url
    )
    sqoop = Sqoop(tmp_path / "sqoop", url, "lost")
    sqoop.generate()
    sqoop.import_into(tmp_path / "theirs", "--as-parquetfile")
    imported(url, "lost", "ours")
    for folder, place in (("theirs", 0), ("ours", 1)):
        kinds, (found,) = types_of(tmp_path / folder), parquet_of(tmp_path / folder)
        assert [found[name] for name in LOST] == [case[2 + place] for case in LOST.values()]
        assert tuple(kinds[name] for name in LOST) == TYPES_OF_LOST[place]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_zone_of_the_machine_changes_sqoops_times_and_not_ours(
    server: PostgresServer, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    server.execute("CREATE TABLE times (id text PRIMARY KEY, ts timestamp, tz timestamptz)", url=url)
    for name, (value, *_) in IN_NEW_YORK.items():
        column = "tz" if "+" in value else "ts"
        server.execute(f"INSERT INTO times (id, {column}) VALUES ('{name}', '{value}')", url=url)
    sqoop = Sqoop(tmp_path / "sqoop", url, "times", "--null-non-string", NULL, zone="America/New_York")
    sqoop.generate()
    sqoop.import_into(tmp_path / "theirs", "--as-textfile")
    imported(url, "times", "ours")
    texts = {each["id"]: each for each in text_of(tmp_path / "theirs", ("id", "ts", "tz"))}
    rows = {each["id"]: each for each in parquet_of(tmp_path / "ours")}
    for name, (_, theirs, ours) in IN_NEW_YORK.items():
        assert (texts[name]["tz"] or texts[name]["ts"]) == theirs
        assert (rows[name]["tz"] or rows[name]["ts"]) == ours


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_sqoop_refuses_is_imported(server: PostgresServer, url: str, tmp_path: Path) -> None:
    server.execute("CREATE TABLE odd (id int PRIMARY KEY, u uuid, j json, list int[], span interval)", url=url)
    with pytest.raises(SqoopFailed, match="No Java type for SQL type"):
        Sqoop(tmp_path / "odd", url, "odd").generate()
    server.execute(
        "CREATE TABLE bits (id int PRIMARY KEY, flags bit(4))", "INSERT INTO bits VALUES (1, '1010')", url=url
    )
    bits = Sqoop(tmp_path / "bits", url, "bits")
    bits.generate()
    with pytest.raises(SqoopFailed, match="Cannot cast to boolean"):
        bits.import_into(tmp_path / "their bits", "--as-textfile")
    server.execute("CREATE TABLE nan (id int PRIMARY KEY, n numeric)", "INSERT INTO nan VALUES (1, 'NaN')", url=url)
    nan = Sqoop(tmp_path / "nan", url, "nan")
    nan.generate()
    with pytest.raises(SqoopFailed, match="Bad value for type BigDecimal : NaN"):
        nan.import_into(tmp_path / "their nan", "--as-textfile")
    for table in ("odd", "bits", "nan"):
        imported(url, table, f"our {table}")
    assert parquet_of(tmp_path / "our bits") == [{"id": 1, "flags": "1010"}]
    assert parquet_of(tmp_path / "our nan") == [{"id": 1, "n": "NaN"}]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_texts_by_the_defaults_of_each(server: PostgresServer, url: str, tmp_path: Path) -> None:
    """Sqoop's cannot be read back; its null is a text, and with ``--escaped-by`` even ``\\N`` is."""
    texts = ["a,b", "one\ntwo", "null", None]
    server.execute("CREATE TABLE texts (id int PRIMARY KEY, t text)", url=url)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO texts VALUES (%s, %s)", list(enumerate(texts)))
    sqoop = Sqoop(tmp_path / "sqoop", url, "texts")
    sqoop.generate()
    sqoop.import_into(tmp_path / "theirs", "--as-textfile")
    imported(url, "texts", "ours", "--as-textfile", "--validate")
    assert content_of(tmp_path / "theirs").splitlines() == ["0,a,b", "1,one", "two", "2,null", "3,null"]
    assert sorted(content_of(tmp_path / "ours").splitlines()) == ["0,a\\,b", "1,one\\ntwo", "2,null", "3,\\N"]
    escaping = Sqoop(tmp_path / "escaping", url, "texts", "--escaped-by", "\\", "--null-string", "\\\\N")
    escaping.generate()
    escaping.import_into(tmp_path / "escaped", "--as-textfile")
    assert content_of(tmp_path / "escaped").splitlines()[-1] == "3,\\\\N"


def row(number: int, dice: random.Random) -> list[Any]:
    """Values that both keep: whole milliseconds, no date before 1900."""
    moment = datetime(2026, 1, 31, 12) + timedelta(milliseconds=dice.randrange(-(10**12), 10**12))
    present: list[Any] = [
        dice.choice([-32768, 0, 32767]),
        dice.choice([-(2**31), 2**31 - 1]),
        dice.choice([Decimal("0.00"), Decimal("-0.05"), Decimal("123456789012345678.90")]),
        dice.choice([Decimal("1.10"), Decimal(-3), Decimal("12345678901234567890123456789.0123456789")]),
        dice.choice([0.1, -1.5, 1e-20, 16777216.0, float("inf"), float("nan")]),
        dice.choice([0.1, 0.30000000000000004, 1e300, 5e-324, -0.0, float("-inf"), float("nan")]),
        dice.choice([True, False]),
        dice.choice(["", "plain", 'a,b\n\\ "c"\r\t', "é🙂", "\\N", "null", "x" * 3000]),
        dice.choice(["ab", "abcde"]),
        dice.choice([b"", b"\0\xff\xde", bytes(range(256))]),
        moment.date(),
        moment.time().replace(microsecond=0),
        moment,
        moment.replace(tzinfo=UTC),
        "123e4567-e89b-12d3-a456-426614174000",
        '{"b":1.10, "a":[null, "x,y"]}',
        [1, None, -3],
    ]
    largest = -(2**63) if number == 0 else 2**63 - 1 if number == 1 else number
    return [largest, *(value if dice.random() < 0.8 else None for value in present)]


def imported(url: str, table: str, target: str, *options: str) -> None:
    arguments = ["--connect", url, "--table", table, "--target-dir", target, "--quiet", *options]
    assert main(["import", *arguments]) == 0


def content_of(folder: Path) -> str:
    files = [path for path in folder.iterdir() if path.is_file() and path.name[0] not in "._"]
    return "".join(path.read_bytes().decode() for path in sorted(files))


def text_of(folder: Path, names: Sequence[str] | Mapping[str, str]) -> list[Row]:
    """Escapes undone, in the way of each: Sqoop puts a backslash before a line feed, ours is ``\\n``."""
    rows: list[Row] = []
    values, value, letters = [], "", iter(content_of(folder))
    for letter in letters:
        if letter == "\\":
            after = next(letters)
            value += {"n": "\n", "r": "\r"}.get(after, after)
        elif letter in ",\n":
            values.append(None if value == NULL else value)
            value = ""
            if letter == "\n":
                rows.append(dict(zip(names, values, strict=True)))
                values = []
        else:
            value += letter
    return rows


def parquet_of(folder: Path) -> list[Row]:
    rows: list[Row] = []
    for path in sorted(folder.glob("*.parquet")):
        rows += pq.read_table(path).to_pylist()
    return rows


def types_of(folder: Path) -> dict[str, str]:
    (path,) = folder.glob("*.parquet")
    return {field.name: str(field.type) for field in pq.read_schema(path)}


Meaning = Mapping[str, Callable[[Any], Any]]


def meant(rows: Sequence[Row], meaning: Meaning) -> list[str]:
    """In the order of their keys; as text, in which a NaN is one and a minus zero is not zero."""
    found = [
        {name: None if value is None else meaning.get(name, lambda same: same)(value) for name, value in row.items()}
        for row in rows
    ]
    return [repr(row) for row in sorted(found, key=lambda row: int(row["id"]))]


def moment(ms: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(milliseconds=ms)


OUR_TEXT: Meaning = {
    "f": float,
    "d": float,
    "x": base64.b64decode,
    "ts": datetime.fromisoformat,
    "tz": datetime.fromisoformat,
    "at": time.fromisoformat,
}
THEIR_TEXT = OUR_TEXT | {"x": bytes.fromhex}
OUR_PARQUET: Meaning = {"tz": datetime.isoformat}
THEIR_PARQUET: Meaning = {
    "amount": Decimal,
    "day": lambda ms: moment(ms).date(),
    "at": lambda ms: moment(ms).time(),
    "ts": moment,
    "tz": lambda ms: moment(ms).replace(tzinfo=UTC).isoformat(),
}
