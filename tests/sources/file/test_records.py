"""What a record carries, and how files of every kind of text come through a running source."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from needs import SHARED_DATA, needs
from tailing import Tail, append, numbered

WAIT_MS = 5_000


def test_records_know_their_file_and_where_they_stood_in_it(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", "one", "two")
    tail.settle()
    (records,) = tail.records
    assert records.value.type == pa.string()
    assert dict(records.common_headers) == {
        "ingest.file": str(tmp_path / "x.log").encode(),
        "ingest.host": socket.gethostname().encode(),
    }
    assert records.origin.source == "files"
    assert records.origin.name == str(tmp_path / "x.log")
    assert records.origin.modified_ms == (tmp_path / "x.log").stat().st_mtime_ns // 1_000_000
    assert records.positions.to_pylist() == [0, 4]
    assert list(tail.positions) == [records.stream]


def test_a_file_name_that_is_not_utf8_still_makes_a_json_position(tail: Tail, tmp_path: Path) -> None:
    name = b"caf\xe9.log".decode("utf-8", "surrogateescape")
    append(tmp_path / name, "one")
    assert tail.settle() == ["one"]
    (position,) = tail.positions.values()
    assert position["path"].endswith("caf\\xe9.log")
    tail.stop()
    append(tmp_path / name, "two")
    assert tail.settle() == ["one", "two"]


def test_utf16_file_is_resumed_in_its_encoding(tail: Tail, tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes("\ufeffzażółć\r\n€\r\n".encode("utf-16-le"))
    assert tail.settle() == ["zażółć", "€"]
    tail.stop()
    with log.open("ab") as file:
        file.write("jaźń\n".encode("utf-16-le"))
    assert tail.settle() == ["zażółć", "€", "jaźń"]


def test_byte_order_mark_is_no_content(tail: Tail, tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(b"\xef\xbb\xbfone\ntwo\n")
    assert tail.settle() == ["one", "two"]
    assert tail.records[0].positions.to_pylist() == [3, 7]


def test_undecodable_line_goes_to_the_dead_letters_with_its_place(tail: Tail, tmp_path: Path) -> None:
    (tmp_path / "x.log").write_bytes(b"one\ncaf\xe9\ntwo\n")
    assert tail.settle() == ["one", "two"]
    (dead,) = tail.dead
    assert dead.records.value.to_pylist() == [b"caf\xe9"]
    assert dead.records.positions.to_pylist() == [4]
    assert dead.records.origin.name == str(tmp_path / "x.log")
    assert dead.reasons == ["the line is not valid utf-8"]
    assert (dead.stage, dead.error) == ("read", "Undecodable")


def test_values_are_bytes_where_nothing_is_decoded(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(undecodable="bytes")
    (tmp_path / "x.log").write_bytes(b"caf\xe9\r\n")
    assert tail.settle() == [b"caf\xe9"]
    assert tail.records[0].value.type == pa.binary()


def test_latin1_file(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(encoding="latin-1")
    (tmp_path / "x.log").write_bytes(b"caf\xe9\r\n\r\n")
    assert tail.settle() == ["café", ""]


def test_endless_line_is_read_in_bounded_pieces(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(batch_bytes=4096, max_line=1024)
    log = tmp_path / "x.log"
    log.write_bytes(b"ok\n" + b"x" * 100_000)
    tail.settle(WAIT_MS)
    with log.open("ab") as file:
        file.write(b"y" * 50_000 + b"\nafter\n")
    assert tail.settle(WAIT_MS) == ["ok", "after"]
    assert b"".join(tail.dead_lines) == b"x" * 100_000 + b"y" * 50_000
    assert max(map(len, tail.dead_lines)) <= 2 * 4096
    assert {dead.error for dead in tail.dead} == {"LineTooLong"}
    places = [place for dead in tail.dead for place in dead.records.positions.to_pylist()]
    assert places == [3 + sum(map(len, tail.dead_lines[:index])) for index in range(len(places))]


def test_endless_line_is_resumed_inside_after_a_crash(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(batch_bytes=4096, max_line=1024)
    (tmp_path / "x.log").write_bytes(b"x" * 20_000 + b"\nafter\n")
    while len(tail.lines) == 0:
        tail.poll()
        tail.stop()
    assert b"".join(tail.dead_lines) == b"x" * 20_000
    assert tail.lines == ["after"]


def test_endless_line_is_split(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(batch_bytes=4096, max_line=1024, long_lines="split")
    (tmp_path / "x.log").write_bytes(b"x" * 10_240 + b"\nafter\n")
    assert tail.settle() == ["x" * 1024] * 10 + ["after"]


def test_line_that_grows_slowly_is_delivered_whole(tail: Tail, tmp_path: Path) -> None:
    append(tmp_path / "x.log", "before")
    for part in range(50):
        with (tmp_path / "x.log").open("a") as file:
            file.write(f"{part:03}" * 100)
        assert tail.settle() == ["before"]
    append(tmp_path / "x.log", "")
    assert tail.settle() == ["before", "".join(f"{part:03}" * 100 for part in range(50))]


def test_record_of_several_lines_comes_when_the_next_begins_or_after_the_time_out(
    new_tail: Callable[..., Tail], tmp_path: Path
) -> None:
    tail = new_tail(multiline={"start": r"^\d", "timeout": "2s"})
    append(tmp_path / "x.log", "1 a", "  at x")
    assert tail.settle(1_000) == []
    append(tmp_path / "x.log", "  at y", "2 b")
    assert tail.settle(1_000) == ["1 a\n  at x\n  at y"]
    assert tail.settle(2_000) == ["1 a\n  at x\n  at y", "2 b"]
    tail.stop()
    append(tmp_path / "x.log", "3 c")
    assert tail.settle(3_000)[2:] == ["3 c"]


def test_an_open_record_of_several_lines_survives_a_restart(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(multiline={"continuation": r"^\s"})
    append(tmp_path / "x.log", "a", " b")
    tail.settle()
    tail.stop()
    append(tmp_path / "x.log", " c", "d")
    assert tail.settle() == ["a\n b\n c"]


def test_start_at_end_reads_only_what_comes_after_the_first_start(
    new_tail: Callable[..., Tail], tmp_path: Path
) -> None:
    tail = new_tail(start_at="end")
    append(tmp_path / "x.log", *numbered(0, 100))
    with (tmp_path / "x.log").open("a") as file:
        file.write("half ")
    assert tail.settle(WAIT_MS) == []
    tail.stop()
    append(tmp_path / "x.log", "a line", "another")
    append(tmp_path / "y.log", "new file")
    assert sorted(tail.settle(WAIT_MS)) == ["another", "half a line", "new file"]


def test_start_at_end_without_any_file_reads_later_files_whole(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(start_at="end")
    tail.settle()
    tail.stop()
    append(tmp_path / "x.log", "one")
    assert tail.settle() == ["one"]


def test_start_at_end_is_followed_through_a_rotation(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    tail = new_tail(start_at="end")
    append(tmp_path / "x.log", *numbered(0, 100))
    tail.settle()
    tail.stop()
    append(tmp_path / "x.log", *numbered(100, 110))
    data = (tmp_path / "x.log").read_bytes()
    (tmp_path / "x.log").unlink()
    import gzip

    (tmp_path / "x.log.1.gz").write_bytes(gzip.compress(data))
    assert tail.settle(2 * WAIT_MS) == numbered(100, 110)


# -- real files

EDGE = SHARED_DATA / "lnav-edge-logs"
HUB = SHARED_DATA / "loghub-2k"


def _link(folder: Path, source: Path) -> None:
    (folder / source.name).symlink_to(source)


@pytest.mark.parametrize("name", ["Apache_2k.log", "HDFS_2k.log", "OpenSSH_2k.log"])
def test_real_log_line_by_line(new_tail: Callable[..., Tail], tmp_path: Path, name: str) -> None:
    needs(HUB.is_dir(), "the loghub samples")
    _link(tmp_path, HUB / name)
    tail = new_tail(until=True, batch_bytes=10_000)
    expected = (HUB / name).read_bytes().decode().split("\n")
    if not expected[-1]:
        expected.pop()
    assert tail.drain() == [line.removesuffix("\r") for line in expected]
    assert not tail.dead


def test_real_edge_cases_lose_no_line(new_tail: Callable[..., Tail], tmp_path: Path) -> None:
    needs(EDGE.is_dir(), "lnav's edge-case logs")
    files = sorted(EDGE.glob("logfile_*"))
    for file in files:
        _link(tmp_path, file)
    tail = new_tail(until=True)
    tail.drain()
    expected = Counter(line for file in files for line in _lines_of(file))
    found = Counter(line.encode() for line in tail.lines) + Counter(tail.dead_lines)
    assert found == expected


def _lines_of(file: Path) -> list[bytes]:
    lines = file.read_bytes().split(b"\n")
    return [line.removesuffix(b"\r") for line in (lines if lines[-1] else lines[:-1])]
