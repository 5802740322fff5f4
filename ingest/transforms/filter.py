"""``filter``: keeps the records for which an SQL expression is true."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pydantic import Field

from ingest.config import Settings
from ingest.connectors import Records, State, Transform, Transformed
from ingest.errors import ConfigError
from ingest.transforms.sql import Expression


class FilterSettings(Settings):
    """Settings of ``filter``."""

    where: str = Field(
        description="SQL over the columns of the value, for example `status >= 400 AND method <> 'HEAD'`; also "
        "`timestamp`, `topic`, `partition`, `offset` of the record. Records for which it is false or null are left out."
    )


class Filter(Transform):
    """Keeps only the records for which an SQL expression is true.

    Those that it leaves out are no dead letters. A record for which the expression fails is one.
    """

    Settings = FilterSettings
    reads_headers = False

    def __init__(self, settings: FilterSettings) -> None:
        self._where = Expression(settings.where, "where")

    def apply(self, records: Records, state: State) -> Transformed:
        found = self._where.rows(records)
        mask = found.column
        if pa.types.is_null(mask.type):
            mask = pa.array(np.zeros(len(records), dtype=bool))
        elif not pa.types.is_boolean(mask.type):
            raise ConfigError(
                f"where: the expression is {mask.type}, and must be true or false",
                hint="compare it with something: status >= 400",
                setting="where",
            )
        kept = records if mask.true_count == len(records) else records.filter(mask)
        return Transformed([kept] if len(kept) else [], found.rejected)
