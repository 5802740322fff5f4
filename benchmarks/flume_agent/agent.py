"""Starts a Flume agent, waits until it has passed on every line, and tells what that took."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

JARS = Path(__file__).resolve().parents[2] / "build" / "flume-jars"
_POLL_S = 0.05

_AGENT = """\
a1.sources = s
a1.channels = c
a1.sinks = k
a1.sources.s.type = TAILDIR
a1.sources.s.channels = c
a1.sources.s.filegroups = f
a1.sources.s.filegroups.f = {log}
a1.sources.s.positionFile = {folder}/positions.json
a1.sources.s.batchSize = 1000
a1.sinks.k.channel = c
{channel}
{sink}
"""
_CHANNELS = {
    "memory": """\
a1.channels.c.type = memory
a1.channels.c.capacity = 100000
a1.channels.c.transactionCapacity = 10000
""",
    "file": """\
a1.channels.c.type = file
a1.channels.c.capacity = 1000000
a1.channels.c.transactionCapacity = 10000
a1.channels.c.checkpointDir = {folder}/checkpoint
a1.channels.c.dataDirs = {folder}/channel
""",
}
_SINKS = {
    "hdfs": """\
a1.sinks.k.type = hdfs
a1.sinks.k.hdfs.path = {target}
a1.sinks.k.hdfs.fileType = DataStream
a1.sinks.k.hdfs.writeFormat = Text
a1.sinks.k.hdfs.rollInterval = 0
a1.sinks.k.hdfs.rollSize = 134217728
a1.sinks.k.hdfs.rollCount = 0
a1.sinks.k.hdfs.batchSize = 1000
""",
    "local": """\
a1.sinks.k.type = file_roll
a1.sinks.k.sink.directory = {target}
a1.sinks.k.sink.rollInterval = 0
a1.sinks.k.sink.batchSize = 1000
""",
}


@dataclass(frozen=True, slots=True)
class Passage:
    """``cpu_s`` and ``wall_s`` count from the first event that the agent took; ``whole_cpu_s`` from its start."""

    wall_s: float
    cpu_s: float
    whole_cpu_s: float
    peak_mb: float


def fetch_jars() -> None:
    """By Maven, once."""
    if not JARS.is_dir():
        pom = Path(__file__).with_name("pom.xml")
        copy = ["dependency:copy-dependencies", f"-DoutputDirectory={JARS}", "-DincludeScope=runtime"]
        subprocess.run(["mvn", "-q", "-B", "-f", str(pom), *copy], check=True)


def pass_on(
    log: Path,
    lines: int,
    folder: Path,
    channel: Literal["memory", "file"],
    sink: Literal["hdfs", "local"],
    target: str,
    hadoop_conf: Path,
) -> Passage:
    """One run from an empty folder; ends once every line was committed at the target. ``hadoop_conf`` holds the
    cluster's settings: without its replication Flume would take each block for a damaged one."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if sink == "local":
        shutil.rmtree(target, ignore_errors=True)
        Path(target).mkdir(parents=True)
    text = _AGENT.format(
        log=log,
        folder=folder,
        channel=_CHANNELS[channel].format(folder=folder),
        sink=_SINKS[sink].format(target=target),
    )
    (folder / "agent.properties").write_text(text)
    (folder / "log4j.properties").write_text(_LOGGING)
    return _follow(folder, lines, f"{folder}:{hadoop_conf}:{JARS}/*")


def _follow(folder: Path, lines: int, class_path: str) -> Passage:
    port = _free_port()
    monitoring = ["-Dflume.monitoring.type=http", f"-Dflume.monitoring.port={port}"]
    command = ["java", "-Xmx1g", *monitoring, "-cp", class_path, "org.apache.flume.node.Application"]
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            [*command, "-n", "a1", "-f", str(folder / "agent.properties"), "--no-reload-conf"], stdout=said, stderr=said
        )
    try:
        began_s = began_cpu_s = None
        while (taken := _metric(port, "EventTakeSuccessCount")) < lines:
            if began_s is None and _metric(port, "EventPutSuccessCount"):
                began_s, began_cpu_s = time.perf_counter(), _cpu_s(process.pid)
            if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):  # its usage is asked for below
                sys.exit(f"Flume has ended after {taken} lines: {(folder / 'said.txt').read_text()[-3000:]}")
            time.sleep(_POLL_S)
        ended_s, ended_cpu_s = time.perf_counter(), _cpu_s(process.pid)
    finally:
        process.terminate()
        _, _, usage = os.wait4(process.pid, 0)
    if began_s is None or began_cpu_s is None:
        sys.exit("the run was too short to be measured: take more lines")
    whole_cpu_s = usage.ru_utime + usage.ru_stime
    return Passage(ended_s - began_s, ended_cpu_s - began_cpu_s, whole_cpu_s, usage.ru_maxrss / 1024)


def _metric(port: int, name: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return int(json.load(answer).get("CHANNEL.c", {}).get(name, 0))
    except OSError:
        return 0


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


_LOGGING = """\
log4j.rootLogger=WARN, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %p %c{1}: %m%n
"""
