"""A MariaDB server of the tests' own: on a free port, in a folder that goes with it."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from needs import needs

_SETTINGS = {
    "bind-address": "127.0.0.1",
    "server_id": "1",
    "log_bin": "binlog",
    "binlog_format": "ROW",
    "binlog_row_image": "FULL",
    "binlog_row_metadata": "FULL",
    "gtid_domain_id": "0",
    "gtid_strict_mode": "ON",
    "sync_binlog": "0",
    "innodb_flush_log_at_trx_commit": "0",
    "innodb_buffer_pool_size": "64M",
    "innodb_log_file_size": "32M",
    "character-set-server": "utf8mb4",
    "skip-name-resolve": "1",
    "local_infile": "1",
}
_PATIENCE_S = 60
_NUMBERS = itertools.count()


class MariadbServer:
    """``root`` needs no password; the user ``guest``, whose password is ``secret``, may connect and no more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._user = "mysql" if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        if self._user:
            shutil.chown(folder, self._user)
        own = {
            "datadir": folder / "data",
            "socket": folder / "m.sock",
            "pid-file": folder / "m.pid",
            "log-error": folder / "said.txt",
            "tmpdir": folder,
            "port": self.port,
        }
        lines = [f"{name}={value}" for name, value in (_SETTINGS | own).items()]
        if self._user:
            lines.append(f"user={self._user}")
        self._config = folder / "my.cnf"
        self._config.write_text("\n".join(["[mariadbd]", *lines, ""]))
        self._install()

    def start(self) -> None:
        """Returns when it takes connections."""
        self._process = subprocess.Popen(
            [_program("mariadbd"), f"--defaults-file={self._config}"],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait_until_ready()

    def stop(self, mode: str = "fast") -> None:
        """``immediate`` is a crash."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL if mode == "immediate" else signal.SIGTERM)
            self._process.wait(_PATIENCE_S)
            self._process = None

    def kill(self) -> None:
        """The machine goes down."""
        self.stop("immediate")

    def url(self, database: str = "", user: str = "root") -> str:
        return f"mysql://{user}@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test{next(_NUMBERS)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, *statements: str, url: str | None = None) -> list[Any]:
        """Runs statements, each in a transaction of its own; returns the rows of the last."""
        with self.connected(url) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    @contextmanager
    def connected(self, url: str | None = None) -> Iterator[Any]:
        """A connection that commits each statement."""
        import pymysql

        parts = urlsplit(url or self.url())
        connection = pymysql.connect(
            host=parts.hostname,
            port=parts.port or 3306,
            user=unquote(parts.username or "root"),
            password=unquote(parts.password or ""),
            database=parts.path.lstrip("/") or None,
            charset="utf8mb4",
            autocommit=True,
        )
        try:
            yield connection
        finally:
            connection.close()

    def _install(self) -> None:
        command = [
            _program("mariadb-install-db"),
            f"--defaults-file={self._config}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        if self._user:
            command.append(f"--user={self._user}")
        done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {(done.stdout + done.stderr).decode()}")

    def _wait_until_ready(self) -> None:
        ready = [
            _program("mariadb-admin"),
            "--no-defaults",
            "-h127.0.0.1",
            f"-P{self.port}",
            "-uroot",
            f"--wait={_PATIENCE_S}",
            "--silent",
            "ping",
        ]
        done = subprocess.run(ready, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            said = (self._folder / "said.txt").read_text() if (self._folder / "said.txt").exists() else ""
            raise RuntimeError(f"MariaDB does not start: {done.stderr.decode()}{said[-4000:]}")
        self.execute("CREATE USER IF NOT EXISTS guest@'%' IDENTIFIED BY 'secret'")


@contextmanager
def mariadb_server() -> Iterator[MariadbServer]:
    """A started server; skips the test where MariaDB or PyMySQL is not installed."""
    needs(_is_installed(), "a MariaDB server and PyMySQL")
    folder = Path(tempfile.mkdtemp(prefix="ingest-mariadb-"))
    try:
        server = MariadbServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_installed() -> bool:
    from importlib.util import find_spec

    found = all(_found(name) for name in ("mariadbd", "mariadb-install-db", "mariadb-admin"))
    return found and find_spec("pymysql") is not None


def _program(name: str) -> str:
    found = _found(name)
    assert found is not None, name
    return found


def _found(name: str) -> str | None:
    """Debian keeps the server where only root's PATH leads."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def _free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])
