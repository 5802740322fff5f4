"""What the connectors of all sinks of files do alike."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ingest.connectors import SinkConnector
from ingest.environment import Environment
from ingest.sinks.lake.settings import LakeSettings
from ingest.sinks.lake.target import check_url, open_store


class LakeSink(SinkConnector):
    """A sink whose output is a table of files at ``settings.url``: the value's columns, nothing else."""

    reads_headers: ClassVar[bool] = False

    def __init__(self, settings: LakeSettings) -> None:
        check_url(settings.url, single_writer=settings.single_writer)
        self.settings = settings

    def check(self, base_folder: Path) -> None:
        """Reaches the place and looks whether it may be written to; changes nothing."""
        store = open_store(
            self.settings.url,
            base_folder,
            Environment(),
            storage_options=self.settings.storage_options,
            single_writer=self.settings.single_writer,
        )
        store.check()
