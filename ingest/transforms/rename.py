"""``rename``: columns get other names, and keep their places."""

from __future__ import annotations

from pydantic import Field

from ingest.config import Settings
from ingest.connectors import Records, State, Transform, Transformed
from ingest.errors import ConfigError
from ingest.transforms.columns import need_columns, with_columns


class RenameSettings(Settings):
    """Settings of ``rename``."""

    columns: dict[str, str] = Field(min_length=1, description="Old names and the new ones: `{c-ip: client}`.")


class Rename(Transform):
    """Gives columns other names.

    All at once: two columns may change places. Lines are the column `value`, which becomes a struct.
    """

    Settings = RenameSettings
    reads_headers = False

    def __init__(self, settings: RenameSettings) -> None:
        self._names = settings.columns
        new = list(settings.columns.values())
        twice = [name for name in new if new.count(name) > 1]
        if twice or "" in new:
            what = f"two columns would be named {twice[0]}" if twice else "a name is empty"
            raise ConfigError(f"columns: {what}", setting="columns")

    def apply(self, records: Records, state: State) -> Transformed:
        need_columns(records, self._names, "columns")
        batch = records.columns()
        names = [self._names.get(name, name) for name in batch.schema.names]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ConfigError(
                f"columns: two columns would be named {twice[0]}",
                hint=f"drop or rename the {twice[0]} that is there",
                setting="columns",
            )
        return Transformed([with_columns(records, batch.rename_columns(names))])
