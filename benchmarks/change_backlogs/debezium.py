"""Debezium's embedded engine with a consumer that does nothing: how fast it gives changes away."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_COUNTER = Path(__file__).parent / "Counter.java"
_ALWAYS = {
    "name": "judge",
    "topic.prefix": "judge",
    "snapshot.mode": "no_data",
    "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
    "offset.flush.interval.ms": "5000",
}


@dataclass(frozen=True, slots=True)
class Drained:
    """What came between the first batch and the last."""

    changes: int
    seconds: float
    cpu_s: float


class Engine:
    """One process of it, that ends after ``records``; all else has Debezium's defaults."""

    def __init__(self, connector: str, settings: Mapping[str, str], folder: Path, records: int) -> None:
        jars = ROOT / "build" / f"debezium-{connector}-jars"
        if not jars.is_dir():
            raise SystemExit(
                f"Debezium is not there: mvn -f tests/interop/debezium/{connector}/pom.xml "
                f"dependency:copy-dependencies -DoutputDirectory={jars} -DincludeScope=runtime"
            )
        properties = {**_ALWAYS, "offset.storage.file.filename": str(folder / "offsets.dat"), **settings}
        file = folder / "engine.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
        options = ["-Xms1g", "-Xmx2g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", f"{jars}/*"]
        command = ["java", *options, str(_COUNTER), str(file), str(records)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def drained(self) -> Drained:
        """Waits for its end."""
        said, complaints = self._process.communicate()
        if self._process.returncode:
            raise SystemExit(complaints)
        changes, seconds, cpu_s = said.split()
        return Drained(int(changes), float(seconds), float(cpu_s))
