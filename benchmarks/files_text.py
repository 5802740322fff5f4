"""Log file to text files, Flume's job: how much CPU a GB costs, all guarantees on.

    python -m benchmarks.files_text [--lines 5000000] [--runs 3] [--format lines]

Lines of about 225 bytes go through the hub (synced) into files of plain text (synced, by manifest), and come out
byte for byte. ``start`` is the same pipeline over an empty log: what a process costs before the first line. CPU is
of whole processes, imports included; GB = 10^9 bytes of input.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.access_log import write_access_log
from benchmarks.whole_process import Run, interleaved, median

PIPELINE = """\
name: bench
hub: ./hub
topics:
  access: {{format: lines, partitions: 1}}
sources:
  - name: log
    type: file
    paths: ['{log}']
    topic: access
sinks:
  - name: text
    type: files
    format: {format}
    compression: {compression}
    topics: [access]
    url: ./text
"""


def main() -> None:
    """Prints CPU per GB, throughput and memory; compares the output with the input."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--lines", type=int, default=5_000_000)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--format", default="lines", choices=["lines", "json", "csv", "delimited", "avro"])
    options.add_argument("--compression", default="none")
    options.add_argument("--folder", type=Path, default=Path("build/bench/files-text"))
    chosen = options.parse_args()
    folder: Path = chosen.folder.resolve()
    log, empty = folder / f"access-{chosen.lines}.log", folder / "empty.log"
    folder.mkdir(parents=True, exist_ok=True)
    if not log.exists():
        write_access_log(log, chosen.lines)
    empty.touch()
    subprocess.run(["cat", str(log)], stdout=subprocess.DEVNULL, check=True)  # into the page cache
    commands = {}
    for name, source in (("ours", log), ("start", empty)):
        (folder / name).mkdir(exist_ok=True)
        pipeline = folder / name / "pipeline.yaml"
        pipeline.write_text(PIPELINE.format(log=source, format=chosen.format, compression=chosen.compression))
        commands[name] = [sys.executable, "-m", "ingest", "run", str(pipeline), "--until-caught-up", "--quiet"]

    def before(name: str) -> None:
        for part in ("hub", "text"):
            shutil.rmtree(folder / name / part, ignore_errors=True)

    found = interleaved(commands, chosen.runs, before)
    _print(found, log.stat().st_size / 1e9, chosen.lines)
    if chosen.format == "lines" and chosen.compression == "none":
        _compare(log, folder / "ours" / "text")


def _print(found: dict[str, list[Run]], size_gb: float, lines: int) -> None:
    print(f"{'':10}{'wall s':>10}{'CPU s':>10}{'lines/s':>12}{'peak MB':>10}")
    for name, runs in found.items():
        wall, cpu, peak = (median(runs, figure) for figure in ("wall_s", "cpu_s", "peak_mb"))
        print(f"{name:10}{wall:10.2f}{cpu:10.2f}{lines / wall:12,.0f}{peak:10.0f}")
    ours, start = median(found["ours"], "cpu_s"), median(found["start"], "cpu_s")
    print(
        f"\nCPU s/GB: {ours / size_gb:.1f} all told, {(ours - start) / size_gb:.1f} after the start ({size_gb:.2f} GB)"
    )


def _compare(log: Path, target: Path) -> None:
    """The files in the order of their names are the log, byte for byte."""
    with log.open("rb") as expected:
        for path in sorted(target.glob("*.txt")):
            with path.open("rb") as found:
                while piece := found.read(1 << 20):
                    if piece != expected.read(len(piece)):
                        sys.exit(f"{path} is not the log's bytes")
        if expected.read(1):
            sys.exit("the log has more lines than the files")
    print("the files are the log, byte for byte")


if __name__ == "__main__":
    main()
