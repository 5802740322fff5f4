"""The file source keeps the contract of all sources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ingest.connectors.testing import SourceContract
from ingest.sources.file.connector import FileSettings, FileSource


class TestFileSource(SourceContract):
    def source(self, folder: Path) -> FileSource:
        return FileSource(FileSettings(paths=[str(folder / "*.log")]))

    def fill(self, folder: Path, rows: Sequence[str]) -> None:
        with (folder / "rows.log").open("a") as file:
            file.writelines(f"{row}\n" for row in rows)

    def spoil(self, folder: Path) -> None:
        with (folder / "rows.log").open("ab") as file:
            file.write(b"no \xff utf-8\n")
