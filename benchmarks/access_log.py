"""A made-up access log, as our generator source makes it."""

from __future__ import annotations

from pathlib import Path

from ingest.connectors import EndOfInput, SourceContext
from ingest.environment import Environment
from ingest.sources.generator import GeneratorSource


def write_access_log(path: Path, lines: int, seed: int = 7) -> None:
    """Writes ``lines`` combined-format lines."""
    settings = GeneratorSource.Settings.model_validate({"kind": "access_log", "count": lines, "seed": seed})
    task = GeneratorSource(settings).tasks(1)[0]
    task.open(SourceContext("generator", path.parent, Environment(), until_caught_up=True), {})
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        try:
            while True:
                polled = task.poll()
                for records in polled.records if polled else ():
                    file.write(("\n".join(records.value.to_pylist()) + "\n").encode())
        except EndOfInput:
            task.close()
    temporary.rename(path)
