"""A PostgreSQL server of the tests' own: on a free port, in a folder that goes with it."""

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

from needs import needs

_SETTINGS = {
    "wal_level": "logical",
    "fsync": "off",
    "autovacuum": "off",
    "max_connections": "40",
    "shared_buffers": "32MB",
    "max_replication_slots": "10",
    "listen_addresses": "127.0.0.1",
}
_ACCESS = """
host all guest 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
host replication all 127.0.0.1/32 trust
local all all trust
"""
_PATIENCE_S = "60"
_NUMBERS = itertools.count()


class PostgresServer:
    """Everybody is trusted, except the user ``guest``, whose password is ``secret``."""

    def __init__(self, folder: Path) -> None:
        self._programs = _programs()
        self._data = folder / "data"
        self._user = "postgres" if os.geteuid() == 0 else None
        self.port = _free_port()
        if self._user:
            shutil.chown(folder, self._user)
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        (self._data / "pg_hba.conf").write_text(_ACCESS)
        with (self._data / "postgresql.conf").open("a") as settings:
            for name, value in (_SETTINGS | {"port": str(self.port), "unix_socket_directories": str(folder)}).items():
                settings.write(f"{name} = '{value}'\n")

    def start(self) -> None:
        """Returns when it takes connections."""
        self._run("pg_ctl", "-D", self._data, "-l", self._data / "said.txt", "-w", "-t", _PATIENCE_S, "start")

    def stop(self, mode: str = "fast") -> None:
        """``immediate`` is a crash."""
        self._run("pg_ctl", "-D", self._data, "-m", mode, "-w", "-t", _PATIENCE_S, "stop")

    def kill(self) -> None:
        """The machine goes down."""
        os.kill(int((self._data / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test{next(_NUMBERS)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, *statements: str, url: str | None = None) -> list[Any]:
        """Runs statements, each in a transaction of its own; returns the rows of the last."""
        import psycopg

        with psycopg.connect(url or self.url(), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        done = subprocess.run(
            command,
            user=self._user,
            cwd="/",
            stdin=subprocess.DEVNULL,
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {(done.stderr or b'').decode()}")


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A started server; skips the test where PostgreSQL or psycopg is not installed."""
    needs(_programs().is_dir() and _has_psycopg(), "a PostgreSQL server and psycopg")
    folder = Path(tempfile.mkdtemp(prefix="ingest-postgres-"))
    try:
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """Debian keeps the programs of each version in a folder that is in nobody's PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    elsewhere = shutil.which("initdb")
    return found[-1] if found else Path(elsewhere).parent if elsewhere else Path("/nowhere")


def _has_psycopg() -> bool:
    from importlib.util import find_spec

    return find_spec("psycopg") is not None


def _free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])
