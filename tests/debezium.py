"""Debezium's embedded engine beside the tests: the judge of our own change capture."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from needs import needs

ROOT = Path(__file__).resolve().parents[1]
_PROGRAM = Path(__file__).parent / "interop" / "debezium" / "Engine.java"
_LOOK_S = 0.1
_PATIENCE_S = 120

_ALWAYS = {
    "name": "judge",
    "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
    "offset.flush.interval.ms": "1000",
    "topic.prefix": "judge",
    "snapshot.mode": "initial",
    "converter.schemas.enable": "false",
    # without loss, as far as it can
    "decimal.handling.mode": "string",
    "time.precision.mode": "isostring",
    "binary.handling.mode": "hex",
    "skipped.operations": "none",
}


@dataclass(frozen=True, slots=True)
class Event:
    """One record as Debezium sent it; ``value`` is None for a tombstone."""

    topic: str
    key: Any
    value: Any


class Debezium:
    """One engine that runs."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process = process
        self._folder = folder

    def events(self) -> list[Event]:
        """All so far; numbers with a point are ``Decimal``."""
        return [_event(*line.split("\t", 2)) for line in self._lines()]

    def wait_for(self, text: str, times: int = 1) -> list[Event]:
        """Returns once that many records hold ``text``, as Debezium writes JSON, with all up to now."""
        self.wait_until(lambda: sum(text in line for line in self._lines()) >= times)
        return self.events()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Looks again and again, while the engine runs: its output is a file, and nothing tells of a new line."""
        waiting = threading.Event()
        for _ in range(int(_PATIENCE_S / _LOOK_S)):
            if condition():
                return
            assert self._process.poll() is None, self.said()
            waiting.wait(_LOOK_S)
        raise AssertionError(f"it never came: {self.said()}")

    def said_at_its_end(self) -> str:
        """Waits until the engine fails."""
        self._process.wait(_PATIENCE_S)
        return (self._folder / "said.txt").read_text()

    def _lines(self) -> list[str]:
        """Whole ones."""
        path = self._folder / "events.tsv"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return text.split("\n")[:-1]

    def said(self) -> str:
        return (self._folder / "said.txt").read_text()[-4000:]


@contextmanager
def debezium(connector: str, folder: Path, settings: Mapping[str, str]) -> Iterator[Debezium]:
    """``connector`` is ``postgres`` or ``mariadb``; ends the engine at the end."""
    jars = ROOT / "build" / f"debezium-{connector}-jars"
    needs(shutil.which("javac") and jars.is_dir(), f"Debezium for {connector} (.ci/run fetches it) and a JDK")
    folder.mkdir(parents=True, exist_ok=True)
    properties = {**_ALWAYS, "offset.storage.file.filename": str(folder / "offsets.dat"), **settings}
    (folder / "engine.properties").write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    command = ["java", "-Xmx512m", quiet, "-cp", f"{jars}/*", str(_PROGRAM)]
    arguments: Sequence[str] = [str(folder / "engine.properties"), str(folder / "events.tsv")]
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen([*command, *arguments], stdout=said, stderr=said)
    try:
        yield Debezium(process, folder)
    finally:
        process.kill()
        process.wait()


def _event(topic: str, key: str, value: str) -> Event:
    return Event(topic, json.loads(key), json.loads(value, parse_float=Decimal))
