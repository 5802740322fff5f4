"""``drop``: leaves out columns."""

from __future__ import annotations

from pydantic import Field

from ingest.config import Settings
from ingest.connectors import Records, State, Transform, Transformed
from ingest.transforms.columns import need_columns, with_columns


class DropSettings(Settings):
    """Settings of ``drop``."""

    columns: list[str] = Field(min_length=1, description="Names of columns.")


class Drop(Transform):
    """Takes columns away.

    Records stay, even without any column.
    """

    Settings = DropSettings
    reads_headers = False

    def __init__(self, settings: DropSettings) -> None:
        self._names = settings.columns

    def apply(self, records: Records, state: State) -> Transformed:
        need_columns(records, self._names, "columns")
        batch = records.columns()
        kept = [name for name in batch.schema.names if name not in self._names]
        return Transformed([with_columns(records, batch.select(kept))])
