"""rsyslog, as Debian ships it, in a folder of its own: it reads lines from a file and forwards them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from needs import needs

_MODULES = Path("/usr/lib/x86_64-linux-gnu/rsyslog")
PATIENCE_S = 30


def needs_rsyslog() -> None:
    """Skips a test where there is none."""
    needs(
        _daemon() and (_modules() / "omrelp.so").exists(),
        "rsyslogd with omrelp",
    )


class Rsyslog:
    """Forwards each line that is added to ``input`` as the message of a record of RFC 5424, by ``action``.

    What it could not send yet waits in its queue, in memory; ``stop`` gives it time to send it.
    """

    def __init__(self, folder: Path, action: str, settings: str = "") -> None:
        self._folder = folder
        self.input = folder / "input.log"
        self.input.touch()
        self.said = folder / "rsyslog.txt"
        self._configuration = folder / "rsyslog.conf"
        self._configuration.write_text(
            f"""
global(workDirectory="{folder}" maxMessageSize="64k" {settings})
main_queue(queue.type="LinkedList" queue.size="200000" queue.timeoutShutdown="10000")
module(load="imfile" mode="inotify")
module(load="omrelp")
input(type="imfile" file="{self.input}" tag="app:" severity="info" facility="local0")
template(name="new" type="string" string="<%PRI%>1 %TIMESTAMP:::date-rfc3339% %HOSTNAME% app - - - %msg%")
if $syslogtag == "app:" then action({action} template="new" action.resumeRetryCount="-1" action.resumeInterval="1")
"""
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Rsyslog:
        with self.said.open("ab") as said:
            self._process = subprocess.Popen(
                [str(_daemon()), "-n", "-f", self._configuration, "-i", self._folder / "rsyslog.pid", "-M", _modules()],
                stdout=said,
                stderr=said,
            )
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    def write(self, lines: list[str]) -> None:
        """Adds lines to what it reads."""
        with self.input.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def certificate(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """A certificate for ``name`` that is its own authority, and its key."""
    needs(shutil.which("openssl"), "openssl")
    made, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"),
            *("-keyout", key, "-out", made),
        ],
        check=True,
        capture_output=True,
    )
    return made, key


def _daemon() -> str | None:
    return shutil.which("rsyslogd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def _modules() -> Path:
    found = [path.parent for path in Path("/usr/lib").glob("*/rsyslog/omrelp.so")]
    return found[0] if found else _MODULES
