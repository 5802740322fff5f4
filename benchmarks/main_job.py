"""Access log to typed Parquet: the main job, with all guarantees on, against programs that guarantee nothing.

    python -m benchmarks.main_job [--lines 1000000] [--runs 5] [--format arrow]

``bare`` reads, parses with our own kernel and writes with pyarrow, in one process and thread: the floor.
``polars`` and ``duckdb`` do the same work their own way, with all cores. Figures are medians of interleaved runs of
whole processes, imports included. CPU per GB counts input bytes.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.access_log import write_access_log
from benchmarks.whole_process import Run, interleaved, median

HERE = Path(__file__).resolve().parent
PATTERN = r'^(\S+) (\S+) (\S+) \[([^\]]+)\] "(\S+) (\S+) (\S+)" (\d{3}) (\d+|-) "([^"]*)" "([^"]*)"$'

PIPELINE = """\
name: bench
hub: ./hub
topics:
  access: {{{format}}}
sources:
  - name: log
    type: file
    paths: ['{log}']
    topic: access
    transforms:
      - {{type: parse, format: combined}}
sinks:
  - name: lake
    type: parquet
    topics: [access]
    url: ./lake
"""


def main() -> None:
    """Prints a row per program, and the two ratios that the budget names."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--lines", type=int, default=1_000_000)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--format", default="", help="the topic's format; by default what a pipeline would choose")
    options.add_argument("--folder", type=Path, default=Path("build/bench/main-job"))
    options.add_argument("--only-ours", action="store_true", help="for memory at large sizes")
    chosen = options.parse_args()
    folder: Path = chosen.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"access-{chosen.lines}.log"
    if not log.exists():
        write_access_log(log, chosen.lines)
    subprocess.run(["cat", str(log)], stdout=subprocess.DEVNULL, check=True)  # into the page cache
    format_line = f"format: {chosen.format}" if chosen.format else ""
    (folder / "pipeline.yaml").write_text(PIPELINE.format(log=log, format=format_line))
    commands = {
        "ingest": [
            sys.executable,
            "-m",
            "ingest",
            "run",
            str(folder / "pipeline.yaml"),
            "--until-caught-up",
            "--quiet",
        ],
        "bare": [sys.executable, "-m", "benchmarks.bare_access_log", str(log), str(folder / "bare.parquet")],
        "polars": [sys.executable, "-m", "benchmarks.peer_polars", str(log), str(folder / "polars.parquet")],
        "duckdb": [sys.executable, "-m", "benchmarks.peer_duckdb", str(log), str(folder / "duckdb.parquet")],
    }
    if chosen.only_ours:
        commands = {"ingest": commands["ingest"]}

    def before(name: str) -> None:
        for part in ("hub", "lake"):
            shutil.rmtree(folder / part, ignore_errors=True)

    found = interleaved(commands, chosen.runs, before)
    _print(found, log.stat().st_size / 1e9, chosen.lines)


def _print(found: dict[str, list[Run]], size_gb: float, lines: int) -> None:
    print(f"{'':10}{'wall s':>10}{'CPU s':>10}{'CPU s/GB':>10}{'lines/s':>12}{'peak MB':>10}")
    for name, runs in found.items():
        wall, cpu, peak = (median(runs, figure) for figure in ("wall_s", "cpu_s", "peak_mb"))
        print(f"{name:10}{wall:10.2f}{cpu:10.2f}{cpu / size_gb:10.1f}{lines / wall:12,.0f}{peak:10.0f}")
    if "bare" in found:
        pairs = sorted(bare.wall_s / ours.wall_s for bare, ours in zip(found["bare"], found["ingest"], strict=True))
        print(f"\nthroughput against bare: {pairs[len(pairs) // 2]:.2f} (to reach: 0.7)")
        ours = median(found["ingest"], "cpu_s")
        for peer in ("polars", "duckdb"):
            print(f"CPU against {peer}: {ours / median(found[peer], 'cpu_s'):.2f} (to reach: below 1)")


if __name__ == "__main__":
    main()
