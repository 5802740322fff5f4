"""Rows that were read from a table as the records that changes are."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from ingest.connectors import Records, SourceContext
from ingest.sources.databases.changes import TRANSACTION, Changes, records_of
from ingest.sources.databases.tables import TableInfo
from ingest.sources.postgres_cdc.place import STREAM
from ingest.sources.postgres_cdc.settings import PostgresCdcSettings
from ingest.sources.postgres_cdc.source_fields import SourceFields


def records_of_rows(
    settings: PostgresCdcSettings,
    context: SourceContext,
    fields: SourceFields,
    table: TableInfo,
    rows: pa.RecordBatch,
    snapshot: pa.Array,
    *,
    now_ms: int,
    lsn: int,
) -> Records:
    """``snapshot`` tells of each row where in a snapshot it stands; ``lsn`` where in the log that was."""
    count = len(rows)
    after = rows.to_struct_array()
    changes = Changes(
        table,
        pa.repeat(pa.scalar("r"), count),
        pa.nulls(count, after.type),
        after,
        fields.of_rows(table, now_ms, snapshot, lsn),
        pa.repeat(pa.scalar(now_ms, pa.int64()), count),
        pa.nulls(count, TRANSACTION) if settings.transaction_topic else None,
    )
    made = records_of(changes, source=context.name, topic=context.topic, envelope=settings.envelope)
    return replace(made, stream=STREAM)
