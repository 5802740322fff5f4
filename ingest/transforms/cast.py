"""``cast``: columns get other types."""

from __future__ import annotations

from pydantic import Field

from ingest.config import Settings
from ingest.connectors import Records, State, Transform, Transformed
from ingest.errors import ConfigError
from ingest.formats.type_names import type_named
from ingest.transforms.columns import need_columns, with_columns
from ingest.transforms.conversion import Conversion
from ingest.transforms.refusals import Refusals, without
from ingest.transforms.times import TimeReader

ERROR = "CastFailed"


class CastSettings(Settings):
    """Settings of ``cast``."""

    columns: dict[str, str] = Field(
        min_length=1, description="Columns and their types: `{status: int32, price: decimal(10, 2)}`."
    )
    time_format: str | None = Field(
        None,
        description="How texts and numbers are read as a timestamp: letters of strptime (`%d/%b/%Y %H:%M:%S`, with "
        "`%f` for fractions), or `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns`. ISO 8601 unless set.",
    )
    timezone: str | None = Field(None, description="Of times that have none: UTC, `+02:00` or `Europe/Berlin`.")


class Cast(Transform):
    """Changes the types of columns, exactly or not at all.

    A record with a value that does not fit its type is a dead letter.
    """

    Settings = CastSettings
    reads_headers = False

    def __init__(self, settings: CastSettings) -> None:
        types = {name: type_named(kind, "columns") for name, kind in settings.columns.items()}
        times = TimeReader(settings.time_format, settings.timezone)
        self._conversion = Conversion(types, times, empty_is_null=False, setting="columns")
        if not any(str(kind).startswith("timestamp") for kind in types.values()) and settings.time_format:
            raise ConfigError("time_format: no column becomes a timestamp", setting="time_format")

    def apply(self, records: Records, state: State) -> Transformed:
        need_columns(records, self._conversion.types, "columns")
        refusals = Refusals()
        columns = self._conversion.apply(records.columns(), refusals)
        return without(with_columns(records, columns), refusals.rejected(ERROR))
