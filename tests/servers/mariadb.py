"""A MariaDB server of the tests' own: on a free port, in a folder that goes with it."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from needs import needs

SETTINGS = {
    "bind-address": "127.0.0.1",
    "server_id": "1",
    "log_bin": "binlog",
    "binlog_format": "ROW",
    "binlog_row_image": "FULL",
    "binlog_row_metadata": "FULL",
    "sync_binlog": "0",
    "innodb_flush_log_at_trx_commit": "0",
    "innodb_buffer_pool_size": "64M",
    "innodb_log_file_size": "32M",
    "character-set-server": "utf8mb4",
    "skip-name-resolve": "1",
    "local_infile": "1",
}
"""MySQL's, too."""
_SETTINGS = SETTINGS | {"gtid_domain_id": "0", "gtid_strict_mode": "ON"}
_PATIENCE_S = 60
_LOOK_S = 0.1
_NUMBERS = itertools.count()


class MariadbServer:
    """``root`` needs no password; the user ``guest``, whose password is ``secret``, may connect and no more."""

    title = "MariaDB"
    least_metadata = "NO_LOG"
    """What ``binlog_row_metadata`` is set to, for a log without names."""
    account = "mysql"
    """That it runs as where the tests are root's."""
    settings: ClassVar[Mapping[str, str]] = _SETTINGS

    def __init__(self, folder: Path, **more: str) -> None:
        self._folder = folder
        self._user = self.account if os.geteuid() == 0 else None
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
        lines = [f"{name}={value}" for name, value in {**self.settings, **own, **more}.items()]
        if self._user:
            lines.append(f"user={self._user}")
        self._config = folder / "my.cnf"
        self._config.write_text("\n".join(["[mysqld]", *lines, ""]))
        self._install()

    def start(self) -> None:
        """Returns when it takes connections."""
        self._process = subprocess.Popen(
            [self.server_program(), f"--defaults-file={self._config}"],
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

    def meant(self, statement: str) -> str:
        """How this server wants what MariaDB would understand."""
        return statement

    def server_program(self) -> str:
        return _program("mariadbd")

    def install_command(self) -> list[str]:
        command = [
            _program("mariadb-install-db"),
            f"--defaults-file={self._config}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        if self._user:
            command.append(f"--user={self._user}")
        return command

    def _install(self) -> None:
        command = self.install_command()
        done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {(done.stdout + done.stderr).decode()}")

    def _wait_until_ready(self) -> None:
        """Nothing tells of the moment but a connection that is taken."""
        waiting = threading.Event()
        for _ in range(int(_PATIENCE_S / _LOOK_S)):
            if self._takes_connections():
                break
            assert self._process is not None
            assert self._process.poll() is None, self._said()
            waiting.wait(_LOOK_S)
        else:
            raise RuntimeError(f"{self.title} does not start: {self._said()}")
        self.execute("CREATE USER IF NOT EXISTS guest@'%' IDENTIFIED BY 'secret'")

    def _takes_connections(self) -> bool:
        import pymysql

        try:
            self.execute("SELECT 1")
        except pymysql.Error:
            return False
        return True

    def _said(self) -> str:
        log = self._folder / "said.txt"
        return log.read_text(errors="replace")[-4000:] if log.exists() else ""


@contextmanager
def mariadb_server(**settings: str) -> Iterator[MariadbServer]:
    """A started server, with these settings, too; skips the test where MariaDB or PyMySQL is not installed."""
    needs(_is_installed(), "a MariaDB server and PyMySQL")
    folder = Path(tempfile.mkdtemp(prefix="ingest-mariadb-"))
    try:
        server = MariadbServer(folder, **settings)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_installed() -> bool:
    from importlib.util import find_spec

    found = all(_found(name) for name in ("mariadbd", "mariadb-install-db"))
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
