"""A MySQL server of the tests' own, of the programs that Maven brings: Debian has none."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from needs import needs
from servers.mariadb import SETTINGS, MariadbServer

_SEQUENCE = re.compile(r"\bseq_(\d+)_to_(\d+)\b( s\b)?")
_NUMBERS = r"(WITH RECURSIVE s(seq) AS (SELECT \1 UNION ALL SELECT seq + 1 FROM s WHERE seq < \2) SELECT seq FROM s) s"
_PROGRAM = Path(__file__).resolve().parents[2] / "build" / "mysql" / "bin" / "mysqld"


class MysqlServer(MariadbServer):
    """As MariaDB's: ``root`` needs no password, the user ``guest`` has ``secret``."""

    title = "MySQL"
    least_metadata = "MINIMAL"
    account = "root"  # whoever else may not see the folder that holds its programs
    settings: ClassVar[Mapping[str, str]] = SETTINGS | {
        "mysqlx": "OFF",
        "cte_max_recursion_depth": "1000000",
        "performance_schema": "OFF",  # it takes memory
        "lc-messages-dir": str(_PROGRAM.parents[1] / "share"),
        "character-sets-dir": str(_PROGRAM.parents[1] / "share" / "charsets"),
    }

    def __init__(self, folder: Path, *, gtids: bool) -> None:
        self._gtids = "ON" if gtids else "OFF"
        super().__init__(folder)

    def execute(self, *statements: str, url: str | None = None) -> list[Any]:
        """MariaDB's ``seq_1_to_100`` is a table here, too."""
        return super().execute(*map(self.meant, statements), url=url)

    def meant(self, statement: str) -> str:
        return _SEQUENCE.sub(_NUMBERS, statement)

    def server_program(self) -> str:
        return str(_PROGRAM)

    def install_command(self) -> list[str]:
        users = self._folder / "users.sql"
        users.write_text("CREATE USER root@'%';\nGRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;\n")
        with self._config.open("a") as settings:
            settings.write(f"gtid_mode={self._gtids}\nenforce_gtid_consistency={self._gtids}\n")
        return [str(_PROGRAM), f"--defaults-file={self._config}", "--initialize-insecure", f"--init-file={users}"]


@contextmanager
def mysql_server(*, gtids: bool = True) -> Iterator[MysqlServer]:
    """A started server; skips the test where MySQL or PyMySQL is not installed."""
    needs(_PROGRAM.exists() and find_spec("pymysql"), "MySQL in build/mysql (.ci/run fetches it) and PyMySQL")
    folder = Path(tempfile.mkdtemp(prefix="ingest-mysql-"))
    try:
        server = MysqlServer(folder, gtids=gtids)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
