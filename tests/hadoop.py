"""A namenode and a datanode of the tests' own, on loopback, and Hadoop's own shell to look at what is in them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any
from xml.sax.saxutils import escape

from needs import needs

JARS = Path(__file__).parents[1] / "build" / "hadoop-jars"
_DAEMONS = {
    "namenode": "org.apache.hadoop.hdfs.server.namenode.NameNode",
    "datanode": "org.apache.hadoop.hdfs.server.datanode.DataNode",
}
_JAVA = [
    "java",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # they live for seconds
    "--add-opens=java.base/java.lang=ALL-UNNAMED",  # webhdfs, on Java 17
]
_SUPERUSER = "root"
_READY_S = 60


class Cluster:
    """One namenode and one datanode, each a process that may be killed and started again."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self._ports = dict(zip(("rpc", "http", "data", "data_http", "data_ipc"), _free_ports(5), strict=True))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._write_settings(settings)

    @property
    def hdfs(self) -> str:
        """``hdfs://host:port``."""
        return f"hdfs://127.0.0.1:{self._ports['rpc']}"

    @property
    def webhdfs(self) -> str:
        """``webhdfs://host:port``."""
        return f"webhdfs://127.0.0.1:{self._ports['http']}"

    def url(self, scheme: str) -> str:
        return {"hdfs": self.hdfs, "webhdfs": self.webhdfs}[scheme]

    def start(self, *daemons: str) -> None:
        """Returns when they answer: both, unless told."""
        for daemon in daemons or tuple(_DAEMONS):
            with (self.folder / f"{daemon}.log").open("ab") as log:
                self._processes[daemon] = subprocess.Popen(
                    [*self._java(), _DAEMONS[daemon]], stdout=log, stderr=log, env=_as(_SUPERUSER)
                )
        self.wait_until_ready()

    def format(self) -> None:
        command = [*self._java(), _DAEMONS["namenode"], "-format", "-force", "-nonInteractive"]
        subprocess.run(command, check=True, capture_output=True, timeout=_READY_S)

    def kill(self, daemon: str) -> None:
        """``kill -9``."""
        process = self._processes.pop(daemon)
        process.kill()
        process.wait()

    def pause(self, daemon: str) -> None:
        """It keeps its connections, and answers none."""
        self._processes[daemon].send_signal(signal.SIGSTOP)

    def resume(self, daemon: str) -> None:
        self._processes[daemon].send_signal(signal.SIGCONT)

    def stop(self) -> None:
        for daemon in list(self._processes):
            self.kill(daemon)

    def wait_until_ready(self) -> None:
        """Until the namenode is out of safe mode, and sees the datanode if one runs."""
        deadline = monotonic() + _READY_S
        while not self._is_ready():
            assert monotonic() < deadline, f"not ready: {self.said()}"
            for daemon, process in self._processes.items():
                assert process.poll() is None, f"the {daemon} has ended: {self.said()}"
            threading.Event().wait(0.1)

    def shell(self, *arguments: str, user: str = _SUPERUSER) -> bytes:
        """``hdfs dfs ARGUMENTS``: what Hadoop's own client prints."""
        return self._run(user, "org.apache.hadoop.fs.FsShell", *arguments)

    def admin(self, *arguments: str) -> bytes:
        """``hdfs dfsadmin ARGUMENTS``."""
        return self._run(_SUPERUSER, "org.apache.hadoop.hdfs.tools.DFSAdmin", *arguments)

    def check(self, *arguments: str) -> bytes:
        """``hdfs fsck ARGUMENTS``."""
        return self._run(_SUPERUSER, "org.apache.hadoop.hdfs.tools.DFSck", *arguments)

    def syncs(self) -> int:
        """How often the datanode has synced a file to its disk; it tells this some seconds late."""
        return int(self._bean("data_http", "Hadoop:service=DataNode,name=DataNodeActivity*")["FsyncCount"])

    def syncs_reach(self, count: int) -> bool:
        """Whether they do, within the time that the datanode takes to tell."""
        deadline = monotonic() + 15
        while self.syncs() < count and monotonic() < deadline:
            threading.Event().wait(0.5)
        return self.syncs() >= count

    def said(self) -> str:
        logs = (path.read_text(errors="replace")[-2000:] for path in sorted(self.folder.glob("*.log")))
        return "\n".join(logs)

    def cpu_s(self, daemon: str) -> float:
        """CPU seconds that a daemon has used."""
        fields = Path(f"/proc/{self._processes[daemon].pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _run(self, user: str, program: str, *arguments: str) -> bytes:
        done = subprocess.run([*self._java(), program, *arguments], capture_output=True, timeout=120, env=_as(user))
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def _is_ready(self) -> bool:
        with suppress(OSError, ValueError, LookupError):
            state = self._bean("http", "Hadoop:service=NameNode,name=FSNamesystemState")
            return state["FSState"] == "Operational" and (
                "datanode" not in self._processes or self._has_datanode(state)
            )
        return False

    def _has_datanode(self, state: dict[str, Any]) -> bool:
        """Each of the two has to say so: the namenode takes a while to miss one that was killed."""
        known = bool(state["NumLiveDataNodes"] > state["NumStaleDataNodes"])
        actors = json.loads(self._bean("data_http", "Hadoop:service=DataNode,name=DataNodeInfo")["BPServiceActorInfo"])
        return known and [actor["ActorState"] for actor in actors] == ["RUNNING"]

    def _bean(self, port: str, query: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._ports[port]}/jmx?qry={query}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            bean: dict[str, Any] = json.load(answer)["beans"][0]
        return bean

    def _java(self) -> list[str]:
        return [*_JAVA, "-cp", f"{self.folder}/conf:{JARS}/*"]

    def _write_settings(self, settings: Mapping[str, str]) -> None:
        conf = self.folder / "conf"
        for page in ("hdfs", "datanode", "static"):  # the jar lacks its web pages, and the daemons insist on them
            (conf / "webapps" / page).mkdir(parents=True)
        (conf / "log4j.properties").write_text(_LOGGING)
        (conf / "hadoop-metrics2.properties").write_text("*.period=1\n")
        core = {"fs.defaultFS": self.hdfs, "hadoop.tmp.dir": f"{self.folder}/tmp"}
        (conf / "core-site.xml").write_text(_as_xml(core))
        (conf / "hdfs-site.xml").write_text(_as_xml(self._hdfs_settings() | dict(settings)))

    def _hdfs_settings(self) -> dict[str, str]:
        ports = self._ports
        return {
            "dfs.replication": "1",
            "dfs.namenode.name.dir": f"file://{self.folder}/namenode",
            "dfs.datanode.data.dir": f"file://{self.folder}/datanode",
            "dfs.namenode.rpc-bind-host": "127.0.0.1",
            "dfs.namenode.http-address": f"127.0.0.1:{ports['http']}",
            "dfs.datanode.address": f"127.0.0.1:{ports['data']}",
            "dfs.datanode.http.address": f"127.0.0.1:{ports['data_http']}",
            "dfs.datanode.ipc.address": f"127.0.0.1:{ports['data_ipc']}",
            "dfs.datanode.hostname": "127.0.0.1",
            "dfs.client.use.datanode.hostname": "true",
            "dfs.namenode.safemode.extension": "0",
            "dfs.namenode.heartbeat.recheck-interval": "1000",
            "dfs.heartbeat.interval": "1",
            "dfs.namenode.stale.datanode.interval": "3000",
            "dfs.namenode.fs-limits.min-block-size": "4096",
            "dfs.namenode.file.close.num-committed-allowed": "1",
        }


@contextmanager
def hadoop(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """A cluster that is empty, and is killed at the end. ``settings`` go into ``hdfs-site.xml``."""
    needs(JARS.is_dir() and shutil.which("java"), "Java and Hadoop in build/hadoop-jars")
    cluster = Cluster(folder, settings or {})
    cluster.format()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def _free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in taken]
    for server in taken:
        server.close()
    return ports


def _as(user: str) -> dict[str, str]:
    return os.environ | {"HADOOP_USER_NAME": user}


def _as_xml(settings: Mapping[str, str]) -> str:
    properties = (
        f"<property><name>{escape(name)}</name><value>{escape(value)}</value></property>"
        for name, value in settings.items()
    )
    return f"<configuration>{''.join(properties)}</configuration>"


_LOGGING = """\
log4j.rootLogger=INFO, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d %p %c{1}: %m%n
"""
