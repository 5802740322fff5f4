"""Sqoop 1.4.7 beside the tests: the judge of imports."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from needs import needs

JARS = Path(__file__).resolve().parents[1] / "build" / "sqoop-jars"
_SETTINGS = {
    "core-site.xml": {"fs.defaultFS": "file:///"},
    "mapred-site.xml": {"mapreduce.framework.name": "local"},
}
_SHORT_LIVED = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
_CLASS = "rows.Row"
"""That Sqoop generates; Parquet fails where it has the table's name."""
_LOGGING = """\
log4j.rootLogger=WARN, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%p %c{1}: %m%n
"""


class SqoopFailed(Exception):
    """It ended with another code than 0; what it said."""


class Sqoop:
    """Imports one table of PostgreSQL, one mapper at a time: that is all that its local runner has.

    ``options`` of text (delimiters, what stands for null) go into the class that it generates; an import ignores them.
    ``zone`` is that of the machine it runs on.
    """

    def __init__(self, folder: Path, url: str, table: str, *options: str, zone: str = "UTC") -> None:
        needs(JARS.is_dir() and shutil.which("javac"), "Sqoop in build/sqoop-jars (.ci/run fetches it) and a JDK")
        self._folder = folder
        self._zone = zone
        parts = urlsplit(url)
        address = f"jdbc:postgresql://{parts.hostname}:{parts.port}{parts.path}"
        self._common = ["--connect", address, "--username", parts.username or "", "--table", table, *options]
        self._write_settings()

    def generate(self) -> None:
        """The class of its rows. On Java 9 and newer it must be on the class path before an import begins."""
        folders = ["--bindir", str(self._folder / "bin"), "--outdir", str(self._folder / "source")]
        self._run("codegen", *self._common, "--class-name", _CLASS, *folders)

    def import_command(self, target: Path, *options: str) -> list[str]:
        """Of a process that imports into a folder that is not there, after ``generate``."""
        code = ["--jar-file", str(self._jar), "--class-name", _CLASS]
        return self._command("import", *self._common, *code, "--target-dir", f"file://{target}", "-m", "1", *options)

    def import_into(self, target: Path, *options: str) -> None:
        self._checked(self.import_command(target, *options))

    @property
    def needed(self) -> dict[str, str]:
        """In the environment."""
        return {"HADOOP_COMMON_HOME": str(JARS), "HADOOP_MAPRED_HOME": str(JARS)}

    @property
    def _jar(self) -> Path:
        return self._folder / "bin" / f"{_CLASS}.jar"

    def _run(self, tool: str, *options: str) -> None:
        self._checked(self._command(tool, *options))

    def _command(self, tool: str, *options: str) -> list[str]:
        path = f"{self._folder}/conf:{self._jar}:{JARS}/*"
        java = ["java", "-Xmx1g", f"-Dhadoop.home.dir={self._folder}", f"-Duser.timezone={self._zone}", "-cp", path]
        return [*java, "org.apache.sqoop.Sqoop", tool, *options]

    def _checked(self, command: Sequence[str]) -> None:
        program, *rest = command
        done = subprocess.run(
            [program, *_SHORT_LIVED, *rest],
            cwd=self._folder,
            env=os.environ | self.needed,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode:
            raise SqoopFailed(done.stdout + done.stderr)

    def _write_settings(self) -> None:
        conf = self._folder / "conf"
        conf.mkdir(parents=True, exist_ok=True)
        (conf / "log4j.properties").write_text(_LOGGING)
        for name, settings in _SETTINGS.items():
            own = settings | {"hadoop.tmp.dir": f"{self._folder}/tmp"}
            lines = (f"<property><name>{key}</name><value>{value}</value></property>" for key, value in own.items())
            (conf / name).write_text(f"<configuration>{''.join(lines)}</configuration>")
