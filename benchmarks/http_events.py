"""Events over HTTP, synced by the hub, held against the same server that checks and drops them.

    python -m benchmarks.http_events [--seconds 5] [--rounds 3] [--folder build]

``wrk`` (Debian's package) posts on 32 connections, one event a request and 1,000 a request as NDJSON; 204 bytes an
event. Rounds are interleaved; medians are shown. The budget is 0.7 of the requests a second of the server that drops.
The load takes its share of the machine, so that on few cores the CPU per request says more than the rate.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PIPELINE = """\
name: bench
hub: ./data
topics: {{events: {{config: {{retention.bytes: 2000000000}}}}}}
sources:
  - {{name: web, type: http, listen: "127.0.0.1:{port}", topic: events}}
"""
SCRIPT = """\
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-ndjson"
{key}local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
"""
KEYED = """\
local count = 0
local thread = tostring(math.random(1000000000))
request = function()
  count = count + 1
  wrk.headers["Idempotency-Key"] = thread .. "-" .. count
  return wrk.format()
end
"""
CONNECTIONS = 32
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Result:
    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    errors: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the hub's folder is made; a disk, not memory")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("this needs wrk: apt-get install wrk")
    folder = Path(tempfile.mkdtemp(prefix="http-", dir=options.folder))
    try:
        for name, count, key in (
            ("one event a request", 1, ""),
            ("the same with a key each", 1, KEYED),
            ("1,000 a request", 1000, ""),
        ):
            (folder / "body").write_bytes(b"".join(_event(number) for number in range(count)))
            (folder / "post.lua").write_text(SCRIPT.format(body=folder / "body", key=key))
            found: dict[str, list[Result]] = {"dropped": [], "synced": []}
            for _ in range(options.rounds):
                for kind, results in found.items():
                    results.append(_measure(kind, folder, options.seconds))
            _show(name, count, found)
    finally:
        shutil.rmtree(folder)


def _event(number: int) -> bytes:
    event = {"id": number, "time": "2026-01-31T12:34:56.789Z", "user": f"u{number:06}", "action": "view", "ok": True}
    event |= {"amount": 12.5, "path": "/products/1234", "agent": "Mozilla/5.0 (X11; Linux x86_64)"}
    return json.dumps(event).ljust(203).encode() + b"\n"


def _measure(kind: str, folder: Path, seconds: int) -> Result:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shutil.rmtree(folder / "data", ignore_errors=True)
    (folder / "pipeline.yaml").write_text(PIPELINE.format(port=port))
    ours = [sys.executable, "-m", "ingest", "run", str(folder / "pipeline.yaml")]
    command = ours if kind == "synced" else [sys.executable, "-m", "benchmarks.http_drop_server", str(port)]
    with (folder / "said.txt").open("w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        _await(port)
        _load(folder, port, 1)
        before = _cpu_s(process.pid)
        text = _load(folder, port, seconds)
        return _read(text, _cpu_s(process.pid) - before)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _await(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit("the server does not listen")


def _load(folder: Path, port: int, seconds: int) -> str:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    command += ["-s", str(folder / "post.lua"), f"http://127.0.0.1:{port}/"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _read(text: str, cpu_s: float) -> Result:
    requests = int(_found(r"(\d+) requests in", text))
    errors = int(_found(r"Non-2xx or 3xx responses: (\d+)", text, "0"))
    errors += sum(map(int, re.findall(r"\d+", _found(r"Socket errors: (.*)", text, ""))))
    rate = float(_found(r"Requests/sec:\s+([\d.]+)", text))
    return Result(
        rate, _ms(_found(r"\n +50% +(\S+)", text)), _ms(_found(r"\n +99% +(\S+)", text)), cpu_s / requests * 1e6, errors
    )


def _found(pattern: str, text: str, default: str | None = None) -> str:
    match = re.search(pattern, text)
    if match is None:
        if default is None:
            sys.exit(f"wrk said:\n{text}")
        return default
    return match.group(1)


def _ms(text: str) -> float:
    value, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def _cpu_s(pid: int) -> float:
    """Of the process and of those that it has started."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = [
        child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return (int(fields[11]) + int(fields[12])) / TICKS + sum(_cpu_s(int(child)) for child in children)


def _show(name: str, count: int, found: dict[str, list[Result]]) -> None:
    print(name)
    medians = {}
    for kind, results in found.items():
        rate, p50, p99, cpu = (
            statistics.median(getattr(result, field) for result in results)
            for field in ("rate", "p50_ms", "p99_ms", "cpu_us")
        )
        medians[kind] = rate, cpu
        errors = sum(result.errors for result in results)
        print(
            f"  {kind:8} {rate:10,.0f} requests/s  {rate * count:12,.0f} events/s  p50 {p50:.2f} ms  p99 {p99:.2f} ms  "
            f"CPU {cpu:8.1f} us a request  {errors} errors"
        )
    print(
        f"  synced / dropped: {medians['synced'][0] / medians['dropped'][0]:.2f} of the requests/s, "
        f"{medians['synced'][1] / medians['dropped'][1]:.2f} of the CPU\n"
    )


if __name__ == "__main__":
    main()
