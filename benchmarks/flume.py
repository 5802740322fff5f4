"""Log file to text files, side by side with Apache Flume 1.11: both to HDFS, both to local files.

    python -m benchmarks.flume [--hdfs-lines 1000000] [--local-lines 5000000] [--runs 3]

Flume writes to HDFS from its file channel, which survives a crash, and to local files from its memory channel, which
loses what is in it. Ours is the same pipeline both times: through the hub, synced, exactly once, by manifest.
One interleaved run, after a round that is not counted; every output is compared with the input. CPU of a start is
left out for both: Flume counts from its first event, ours is less the CPU of the same pipeline over an empty log.
GB = 10^9 bytes of input. The namenode and datanode are not in the figures, and are shown apart.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.access_log import write_access_log
from benchmarks.flume_agent.agent import Passage, fetch_jars, pass_on
from benchmarks.whole_process import run_once

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from hadoop import Cluster, hadoop  # noqa: E402 - the tests' own cluster

PIPELINE = """\
name: bench
hub: ./hub
topics:
  access: {{format: lines}}
sources:
  - {{name: log, type: file, paths: ['{log}'], topic: access}}
sinks:
  - {{name: text, type: files, format: lines, topics: [access], url: '{url}'}}
"""


@dataclass(frozen=True, slots=True)
class Log:
    path: Path
    lines: int
    digest: str

    @property
    def gigabytes(self) -> float:
        return self.path.stat().st_size / 1e9


def main() -> None:
    """Prints a row per program, and the two ratios that the budget names."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--hdfs-lines", type=int, default=1_000_000)
    options.add_argument("--local-lines", type=int, default=5_000_000)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--folder", type=Path, default=ROOT / "build" / "bench" / "flume")
    chosen = options.parse_args()
    folder: Path = chosen.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    fetch_jars()
    os.environ["HADOOP_USER_NAME"] = "root"
    shutil.rmtree(folder / "hadoop", ignore_errors=True)
    (folder / "hadoop").mkdir()
    with hadoop(folder / "hadoop") as cluster:
        bench = Bench(folder, cluster, _log(folder, chosen.hdfs_lines), _log(folder, chosen.local_lines))
        programs: dict[str, Callable[[], Passage]] = {
            "Flume, file channel, to HDFS": bench.flume_to_hdfs,
            "ours, to HDFS": bench.ours_to_hdfs,
            "Flume, memory channel, to files": bench.flume_to_files,
            "ours, to files": bench.ours_to_files,
        }
        found: dict[str, list[Passage]] = {name: [] for name in programs}
        for number in range(chosen.runs + 1):
            for name, program in programs.items():
                passage = program()
                print(f"{name}: {passage.cpu_s:.1f} CPU-s in {passage.wall_s:.1f} s", file=sys.stderr, flush=True)
                if number:
                    found[name].append(passage)
    _print(found, bench)


class Bench:
    """Four programs over two logs."""

    def __init__(self, folder: Path, cluster: Cluster, hdfs_log: Log, local_log: Log) -> None:
        self._folder = folder
        self._cluster = cluster
        self.hdfs_log = hdfs_log
        self.local_log = local_log
        self.cluster_cpu_s: dict[str, list[float]] = {}
        self._starts = 0

    def flume_to_hdfs(self) -> Passage:
        target = f"{self._cluster.hdfs}/flume"
        return self._on_hdfs("flume", lambda: self._flume(self.hdfs_log, "file", "hdfs", target))

    def ours_to_hdfs(self) -> Passage:
        return self._on_hdfs("ours", lambda: self._ours(self.hdfs_log, f"{self._cluster.hdfs}/ours"))

    def flume_to_files(self) -> Passage:
        target = self._folder / "flume-text"
        passage = self._flume(self.local_log, "memory", "local", str(target))
        _compare(_digest_of(sorted(target.iterdir())), self.local_log)
        return passage

    def ours_to_files(self) -> Passage:
        target = self._folder / "ours-text"
        shutil.rmtree(target, ignore_errors=True)
        passage = self._ours(self.local_log, str(target))
        _compare(_digest_of(sorted(target.glob("bench~*"))), self.local_log)
        return passage

    def _flume(
        self, log: Log, channel: Literal["memory", "file"], sink: Literal["hdfs", "local"], target: str
    ) -> Passage:
        conf = self._cluster.folder / "conf"
        return pass_on(log.path, log.lines, self._folder / "flume", channel, sink, target, conf)

    def _on_hdfs(self, name: str, program: Callable[[], Passage]) -> Passage:
        self._cluster.shell("-rm", "-r", "-f", "-skipTrash", f"/{name}")
        before = self._cluster.cpu_s("namenode") + self._cluster.cpu_s("datanode")
        passage = program()
        used = self._cluster.cpu_s("namenode") + self._cluster.cpu_s("datanode") - before
        self.cluster_cpu_s.setdefault(name, []).append(used)
        fetched = self._folder / "fetched"
        shutil.rmtree(fetched, ignore_errors=True)
        fetched.mkdir()
        self._cluster.shell("-get", "/ours/bench~*" if name == "ours" else "/flume/*", str(fetched))
        _compare(_digest_of(sorted(fetched.iterdir())), self.hdfs_log)
        return passage

    def _ours(self, log: Log, url: str) -> Passage:
        empty = self._folder / "empty.log"
        empty.touch()
        self._starts += 1
        nothing = f"{url}-start-{self._starts}"
        shutil.rmtree(nothing, ignore_errors=True)  # on HDFS there is none: the cluster is new
        start = run_once(self._command("start", empty, nothing))
        run = run_once(self._command("run", log.path, url))
        return Passage(run.wall_s - start.wall_s, run.cpu_s - start.cpu_s, run.cpu_s, run.peak_mb)

    def _command(self, name: str, log: Path, url: str) -> list[str]:
        folder = self._folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "pipeline.yaml").write_text(PIPELINE.format(log=log, url=url))
        return [sys.executable, "-m", "ingest", "run", str(folder / "pipeline.yaml"), "--until-caught-up"]


def _log(folder: Path, lines: int) -> Log:
    path = folder / f"access-{lines}.log"
    if not path.exists():
        write_access_log(path, lines)
    return Log(path, lines, _digest_of([path]))  # reading it puts it into the page cache, too


def _digest_of(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()


def _compare(digest: str, log: Log) -> None:
    if digest != log.digest:
        sys.exit(f"the output is not what {log.path} holds")


def _print(found: dict[str, list[Passage]], bench: Bench) -> None:
    print(f"{'':34}{'CPU-s/GB':>10}{'lines/CPU-s':>13}{'with start':>12}{'lines/s':>12}{'peak MB':>9}")
    per_gb: dict[str, float] = {}
    for name, passages in found.items():
        log = bench.hdfs_log if name.endswith("HDFS") else bench.local_log
        cpu_s = statistics.median(passage.cpu_s for passage in passages)
        whole = statistics.median(passage.whole_cpu_s for passage in passages)
        rate = log.lines / statistics.median(passage.wall_s for passage in passages)
        peak = statistics.median(passage.peak_mb for passage in passages)
        per_gb[name] = cpu_s / log.gigabytes
        figures = f"{per_gb[name]:10.2f}{log.lines / cpu_s:13,.0f}{whole / log.gigabytes:12.2f}{rate:12,.0f}{peak:9.0f}"
        print(f"{name:34}{figures}")
    for name, used in bench.cluster_cpu_s.items():
        print(f"namenode and datanode, {name}: {statistics.median(used[1:]):.2f} CPU-s a run")
    durable, ours_hdfs, fast, ours_local = per_gb.values()
    print(f"to HDFS: {durable / ours_hdfs:.1f} times the lines per CPU second of Flume's file channel (budget: 25)")
    print(f"to files: {ours_local / fast:.2f} of the CPU of Flume's memory channel (budget: 1)")


if __name__ == "__main__":
    main()
