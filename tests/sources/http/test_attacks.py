"""Slow clients by the hundred and bodies that explode: memory stays flat, and others are served all the while."""

from __future__ import annotations

import gzip
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

PIPELINE = """\
name: attacked
hub: ./data
sources:
  - name: web
    type: http
    listen: 127.0.0.1:{port}
    topic: events
    limits: {{body: 4MiB, receiving: 16MiB, waiting: 16MiB, connections_per_address: 500}}
"""
GROWTH_MIB = 120
"""16 MiB come in, 16 MiB wait, 16 MiB are looked at with their copies; the rest is the allocator's slack."""


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_flat_under_slow_clients_and_bombs(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "p.yaml").write_text(PIPELINE.format(port=port))
    with (tmp_path / "said.txt").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "ingest", "run", str(tmp_path / "p.yaml")], stderr=said, env=os.environ
        )
    try:
        _until_it_answers(port)
        for _ in range(50):
            assert _post(port, b"{}") == 202
        before = resident_mib(process.pid)
        attack = Attack(port)
        peak, polite = before, []
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            begun = time.monotonic()
            assert _post(port, b'{"polite": true}') == 202
            polite.append(time.monotonic() - begun)
            peak = max(peak, resident_mib(process.pid))
            time.sleep(0.05)
        attack.stop()
        assert attack.refused > 20, "the bombs were not even looked at"
        assert attack.dribbled > 64 * 2**20, "the slow clients sent too little to prove anything"
        assert peak - before < GROWTH_MIB, f"{before:.0f} MiB grew to {peak:.0f}"
        assert sorted(polite)[len(polite) // 2] < 1.0
        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(30) == 0


def _until_it_answers(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if _post(port, b"{}") == 202:
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail("it does not listen")


def _post(port: int, body: bytes, headers: dict[str, str] | None = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", "/", body, {"Content-Type": "application/json", **(headers or {})})
        return connection.getresponse().status
    finally:
        connection.close()


class Attack:
    """200 clients that never finish a body, and four that send bombs of 1 GiB."""

    def __init__(self, port: int) -> None:
        self.refused = self.dribbled = 0
        self._port = port
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        bomb = gzip.compress(b"[" + b" " * 2**30 + b"]", 1)
        self._threads = [threading.Thread(target=self._bomb, args=(bomb[: 4 * 2**20],)) for _ in range(4)]
        self._threads += [threading.Thread(target=self._dribble) for _ in range(200)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)

    def _bomb(self, body: bytes) -> None:
        while not self._stopping.is_set():
            try:
                status = _post(self._port, body, {"Content-Encoding": "gzip"})
            except OSError:
                continue
            with self._lock:
                self.refused += status in (413, 503)

    def _dribble(self) -> None:
        while not self._stopping.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self._port), 10) as connection:
                    connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n")
                    while not self._stopping.is_set():
                        connection.sendall(b" " * 20_000)
                        with self._lock:
                            self.dribbled += 20_000
                        self._stopping.wait(0.2)
            except OSError:
                continue
