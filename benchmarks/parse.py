"""What parsing costs: our kernel, its twin and each format's parser, beside Python's ``re`` and Polars.

    python benchmarks/parse.py [--lines 200000] [--batch 32768] [--rounds 5]

Everything is measured in turn within each round, so that a busy machine is unfair to all alike. Numbers are CPU
seconds per GB of lines and lines per CPU second, the median of the rounds. The first five do the same work: an
access log to typed columns, status and bytes as numbers, times in UTC.
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from access_log import write_access_log

from ingest.connectors import Records
from ingest.transforms.parse import Parse
from ingest.transforms.parsers import access_log

Work = Callable[[pa.Array], object]
REGEX = (
    r'^(?P<host>\S+) (?P<ident>\S+) (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<method>\S+) (?P<path>\S+) '
    r'(?P<protocol>\S+)" (?P<status>\d{3}) (?P<bytes>\d+|-) "(?P<referer>[^"]*)" "(?P<user_agent>[^"]*)"$'
)
LINE = re.compile(REGEX)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--lines", type=int, default=200_000)
    arguments.add_argument("--batch", type=int, default=32_768)
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()
    cases = cases_for(options.lines)
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(options.rounds):
        for name, (lines, work) in cases.items():
            start = time.process_time()
            for begin in range(0, len(lines), options.batch):
                work(lines.slice(begin, options.batch))
            seconds[name].append(time.process_time() - start)
    print(f"{'':34}{'CPU s/GB':>10}{'M lines/CPU s':>15}{'B/line':>8}")
    for name, (lines, _) in cases.items():
        cpu = statistics.median(seconds[name])
        print(
            f"{name:34}{cpu / lines.nbytes * 1e9:10.2f}{len(lines) / cpu / 1e6:15.3f}{lines.nbytes / len(lines):8.0f}"
        )


def cases_for(count: int) -> dict[str, tuple[pa.Array, Work]]:
    lines = access_lines(count)
    few = lines.slice(0, count // 5)
    cases: dict[str, tuple[pa.Array, Work]] = {
        "access log, Python re": (few, by_re),
        "access log, Polars": (lines, by_polars),
        "access log, regex (RE2)": (few, ours(format="regex", pattern=REGEX, types=TYPES, time_format=CLF)),
        "access log, twin": (few, with_kernel(access_log.twin)),
    }
    if access_log.compiled is not None:
        cases["access log, compiled kernel"] = (lines, with_kernel(access_log.compiled))
    cases["access log, grok"] = (few, ours(format="grok", pattern="^%{COMBINEDAPACHELOG}"))
    return cases | other_formats(few)


TYPES = {"status": "int32", "bytes": "string", "time": "timestamp_ms"}
CLF = "%d/%b/%Y:%H:%M:%S %z"


def access_lines(count: int) -> pa.Array:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "access.log"
        write_access_log(path, count)
        return pa.array(path.read_text().splitlines())


def other_formats(lines: pa.Array) -> dict[str, tuple[pa.Array, Work]]:
    """The same requests as other programs would have written them."""
    result = Parse(Parse.Settings(format="combined")).apply(Records(value=lines), {})
    rows = result.records[0].value.to_pylist()
    stamps = [row["time"].isoformat() for row in rows]
    fields = [[stamp, row["host"], row["path"], str(row["status"])] for stamp, row in zip(stamps, rows, strict=True)]
    names = ["time", "host", "path", "status"]
    pairs = [list(zip(names, each, strict=True)) for each in fields]
    made: dict[str, tuple[list[str], Work]] = {
        "json": (
            ["{" + ", ".join(f'"{name}": "{value}"' for name, value in each) + "}" for each in pairs],
            ours(format="json", types=TYPED),
        ),
        "logfmt": (
            [" ".join(f'{name}="{value}"' for name, value in each) for each in pairs],
            ours(format="logfmt", types=TYPED),
        ),
        "csv": ([",".join(each) for each in fields], ours(format="csv", columns=names, types=TYPED)),
        "csv, all quoted": (
            [",".join(f'"{value}"' for value in each) for each in fields],
            ours(format="csv", columns=names, types=TYPED),
        ),
        "syslog, RFC 3164": (
            [f"{row['time']:%b %d %H:%M:%S} web nginx[7]: {row['path']}" for row in rows],
            ours(format="syslog"),
        ),
        "syslog, RFC 5424": (
            [f"<34>1 {stamp} web nginx 7 - - {row['path']}" for stamp, row in zip(stamps, rows, strict=True)],
            ours(format="syslog"),
        ),
    }
    return {name: (pa.array(lines), work) for name, (lines, work) in made.items()}


TYPED = {"time": "timestamp", "status": "int32"}


def ours(**settings: Any) -> Work:
    parse = Parse(Parse.Settings(**settings))

    def work(lines: pa.Array) -> object:
        result = parse.apply(Records(value=lines), {})
        assert not result.rejected, result.rejected[0].reasons[0]
        return result

    return work


def with_kernel(kernel: Any) -> Work:
    parse = ours(format="combined")

    def work(lines: pa.Array) -> object:
        chosen, access_log.access_lines = access_log.access_lines, kernel
        try:
            return parse(lines)
        finally:
            access_log.access_lines = chosen

    return work


@lru_cache(maxsize=4096)
def instant(text: str) -> datetime:
    return datetime.strptime(text, CLF)


def by_re(lines: pa.Array) -> object:
    """What one writes without a library: a loop, and a cache of the last times."""
    columns: list[list[Any]] = [[] for _ in range(11)]
    for line in lines.to_pylist():
        match = LINE.match(line)
        assert match is not None
        for column, value in zip(columns, match.groups(), strict=True):
            column.append(value)
    arrays = [pa.array(column) for column in columns]
    arrays[3] = pa.array([instant(text) for text in columns[3]], pa.timestamp("us", "UTC"))
    arrays[7] = pa.array([int(text) for text in columns[7]], pa.int32())
    arrays[8] = pa.array([None if text == "-" else int(text) for text in columns[8]], pa.int64())
    return arrays


def by_polars(lines: pa.Array) -> object:
    frame = pl.DataFrame({"line": pl.from_arrow(lines)})
    return (
        frame.select(pl.col("line").str.extract_groups(REGEX))
        .unnest("line")
        .with_columns(
            pl.col("time").str.to_datetime(CLF).dt.convert_time_zone("UTC"),
            pl.col("status").cast(pl.Int32),
            pl.col("bytes").replace("-", None).cast(pl.Int64),
        )
    )


if __name__ == "__main__":
    main()
