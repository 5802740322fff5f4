"""Rows as JSON lines on standard output."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
import pyarrow as pa
import pytest
from lake import delivery, sink_context

from ingest.connectors.testing import SinkContract
from ingest.errors import ConnectorError, SystemUnavailable
from ingest.sinks.console import ConsoleSettings, ConsoleSink


class TestConsole(SinkContract):
    remembers = False

    @pytest.fixture(autouse=True)
    def _output(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd
        self._lines: list[str] = []

    def sink(self, folder: Path) -> ConsoleSink:
        return ConsoleSink(ConsoleSettings())

    def rows(self, folder: Path) -> Sequence[str]:
        self._lines += self._capfd.readouterr().out.splitlines()
        return [orjson.loads(line)["row"] for line in self._lines]


@contextmanager
def pipe_as_stdout(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Standard output is a pipe; yields its reading end."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        yield reader
        monkeypatch.undo()


def printed(capfd: pytest.CaptureFixture[str], value: pa.Array, *, origin: bool = False) -> list[object]:
    task = ConsoleSink(ConsoleSettings(origin=origin)).task()
    task.open(sink_context(Path()))
    task.put(delivery(7, value, partition=2))
    return [orjson.loads(line) for line in capfd.readouterr().out.split("\n")[:-1]]


def test_lines_and_bytes_are_printed_as_the_column_value(capfd: pytest.CaptureFixture[str]) -> None:
    assert printed(capfd, pa.array(["one", None])) == [{"value": "one"}, {"value": None}]


def test_a_row_may_say_where_it_comes_from(capfd: pytest.CaptureFixture[str]) -> None:
    (row,) = printed(capfd, pa.array([{"a": 1}]), origin=True)
    assert row == {
        "a": 1,
        "_topic": "events",
        "_partition": 2,
        "_offset": 7,
        "_timestamp": "2023-11-14T22:13:20.000Z",
    }


def test_line_ends_inside_of_values_do_not_break_lines(capfd: pytest.CaptureFixture[str]) -> None:
    assert printed(capfd, pa.array(["a\nb\r", "\u2028"])) == [{"value": "a\nb\r"}, {"value": "\u2028"}]


def test_more_than_a_pipe_holds_waits_for_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    value = pa.array([f"row {number:0100}" for number in range(5_000)])
    with pipe_as_stdout(monkeypatch) as reader:
        task = ConsoleSink(ConsoleSettings()).task()
        task.open(sink_context(Path()))
        writer = threading.Thread(target=task.put, args=(delivery(0, value),))
        writer.start()
        with os.fdopen(reader, "rb") as stream:
            found = [stream.readline() for _ in range(len(value))]
        writer.join()
    assert [orjson.loads(line)["value"] for line in found] == value.to_pylist()


def test_a_stop_does_not_wait_for_a_reader_that_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipe_as_stdout(monkeypatch) as reader:
        task = ConsoleSink(ConsoleSettings()).task()
        opened = sink_context(Path())
        task.open(opened)
        opened.stopping.set()
        value = pa.array(["x" * 100_000] * 10)
        with pytest.raises(SystemUnavailable):
            task.put(delivery(0, value))
        os.close(reader)


def test_a_reader_that_has_gone_stops_the_sink(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipe_as_stdout(monkeypatch) as reader:
        os.close(reader)
        task = ConsoleSink(ConsoleSettings()).task()
        task.open(sink_context(Path()))
        with pytest.raises(ConnectorError, match="nobody reads"):
            task.put(delivery(0, ["x"]))


def test_it_imports_without_anything_heavy() -> None:
    code = "import sys, ingest.sinks.console; print(sorted({'duckdb', 'fsspec', 'datafusion'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
