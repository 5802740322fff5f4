"""Apache Kafka's own DumpLogSegments reads our segments, indexes, snapshots, and finds nothing wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from needs import needs

from ingest.connectors import Records
from ingest.hub.embedded import EmbeddedHub

JARS = Path(__file__).parents[2] / "build" / "kafka-jars"
LOGGING = Path(__file__).parent / "kafka" / "log4j2.properties"

pytestmark = [pytest.mark.slow, pytest.mark.java]


def dump(*options: str) -> str:
    """What DumpLogSegments prints; its exit code and complaints fail the test."""
    command = ["java", "-Xmx256m", f"-Dlog4j2.configurationFile={LOGGING}", "-cp", f"{JARS}/*"]
    done = subprocess.run(
        [*command, "org.apache.kafka.tools.DumpLogSegments", *options], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "Exception" not in done.stderr, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A hub's folder with several segments of plain, compressed, keyed, transactional and aborted batches."""
    needs(JARS.is_dir() and shutil.which("java"), "Java and Kafka's tools in build/kafka-jars")
    path = tmp_path_factory.mktemp("hub")
    hub = EmbeddedHub.open(path)
    for codec in ("uncompressed", "gzip", "snappy", "lz4", "zstd"):
        hub.create_topic(f"t-{codec}", config={"compression.type": codec, "segment.bytes": str(1024 * 1024)})
        for start in range(0, 60_000, 3_000):
            hub.append(records(f"t-{codec}", start, 3_000), 0).result()
    writer = hub.register_writer("judge")
    for number in range(6):
        transaction = hub.transaction(writer)
        transaction.append(records("t-uncompressed", number, 100), 0)
        transaction.put_positions("judge", {"stream": {"number": number}})
        if number % 2:
            transaction.abort()
        else:
            transaction.commit().result()
    hub.close()
    yield path
    assert path.is_dir()


def records(topic: str, start: int, count: int) -> Records:
    numbers = range(start, start + count)
    return Records(
        topic=topic,
        value=pa.array([f"value {number} of a record that is not very short".encode() for number in numbers]),
        key=pa.array([f"key-{number % 100}".encode() if number % 3 else None for number in numbers], pa.binary()),
        timestamp=pa.array([1_770_000_000_000 + number * 10 for number in numbers], pa.timestamp("ms", tz="UTC")),
        common_headers=(("host", b"example"),),
    )


def files(folder: Path, ending: str) -> list[str]:
    return [str(path) for path in sorted(folder.glob(f"*/*{ending}")) if path.stat().st_size]


def test_every_batch_of_every_segment_is_valid(folder: Path) -> None:
    logs = files(folder, ".log")
    assert len(logs) > 10
    printed = dump("--deep-iteration", "--files", ",".join(logs))
    assert "isvalid: true" in printed
    assert "isvalid: false" not in printed
    assert printed.count("| offset:") >= 5 * 60_000


def test_offset_and_time_indexes_agree_with_their_segments(folder: Path) -> None:
    indexes = [*files(folder, ".index"), *files(folder, ".timeindex")]
    assert len(indexes) > 10
    printed = dump("--index-sanity-check", "--files", ",".join(indexes))
    assert "passed sanity check" in printed
    printed = dump("--verify-index-only", "--files", ",".join(indexes))
    assert not re.search("mismatch|Found timestamp|out of order", printed, re.IGNORECASE), printed


def test_producer_snapshots_and_aborted_transactions_are_read(folder: Path) -> None:
    snapshots = files(folder, ".snapshot")
    assert snapshots
    assert "producerId" in dump("--files", ",".join(snapshots))
    aborted = files(folder, ".txnindex")
    assert aborted
    assert len(re.findall("producerId", dump("--files", ",".join(aborted)))) == 3
