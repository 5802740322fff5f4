"""One peer's way from a table to one Parquet file, or with ``dlt`` to a folder: as its documentation has it, snappy.

python peer_table.py connectorx|connectorx-stream|adbc|duckdb|dlt URL TARGET
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

QUERY = "SELECT * FROM lineitem"
BATCH = 65_536


def main(peer: str, url: str, target: str) -> None:
    Path(target).mkdir()
    {"connectorx": connectorx, "connectorx-stream": connectorx_stream, "adbc": adbc, "duckdb": duck, "dlt": dlt}[peer](
        url, target
    )


def connectorx(url: str, target: str) -> None:
    """The whole table in memory."""
    import connectorx as cx
    import pyarrow.parquet as pq

    pq.write_table(cx.read_sql(_cx(url), QUERY, return_type="arrow"), f"{target}/table.parquet")


def connectorx_stream(url: str, target: str) -> None:
    import connectorx as cx

    _write(cx.read_sql(_cx(url), QUERY, return_type="arrow_stream", batch_size=BATCH), target)


def adbc(url: str, target: str) -> None:
    if url.startswith("sqlite"):
        from adbc_driver_sqlite import dbapi

        connection = dbapi.connect(url.removeprefix("sqlite:///"))
    else:
        from adbc_driver_postgresql import dbapi

        connection = dbapi.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(QUERY)
        _write(cursor.fetch_record_batch(), target)


def duck(url: str, target: str) -> None:
    import duckdb
    import duckdb_extension_postgres_scanner as scanner

    extension = next(Path(scanner.__path__[0]).rglob("*.duckdb_extension"))
    parts = urlsplit(url)
    attached = f"host={parts.hostname} port={parts.port} user={parts.username} dbname={parts.path[1:]}"
    duckdb.sql(f"LOAD '{extension}'")
    duckdb.sql(f"ATTACH '{attached}' AS db (TYPE postgres, READ_ONLY)")
    duckdb.sql(f"COPY (SELECT * FROM db.public.lineitem) TO '{target}/table.parquet' (FORMAT parquet)")


def dlt(url: str, target: str) -> None:
    """Its fastest backend."""
    os.environ |= {"DESTINATION__FILESYSTEM__BUCKET_URL": f"file://{target}", "RUNTIME__DLTHUB_TELEMETRY": "false"}
    import dlt
    from dlt.sources.sql_database import sql_table

    driver = {"postgresql": "postgresql+psycopg2", "mysql": "mysql+pymysql"}.get(urlsplit(url).scheme)
    address = f"{driver}{url[url.index(':') :]}" if driver else url
    pipeline = dlt.pipeline(
        "bench", destination="filesystem", dataset_name="out", pipelines_dir=f"{target}/state", progress=None
    )
    table = sql_table(address, table="lineitem", backend="connectorx", reflection_level="minimal")
    pipeline.run(table, loader_file_format="parquet")


def _cx(url: str) -> str:
    return url.replace("sqlite:///", "sqlite://")


def _write(reader: object, target: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    batches = iter(reader)  # type: ignore[call-overload]
    first = next(batches)
    with pq.ParquetWriter(f"{target}/table.parquet", first.schema) as writer:
        pending, rows = [first], first.num_rows
        for batch in batches:
            pending.append(batch)
            rows += batch.num_rows
            if rows >= 2 * BATCH:
                writer.write_table(pa.Table.from_batches(pending))
                pending, rows = [], 0
        if pending:
            writer.write_table(pa.Table.from_batches(pending))


if __name__ == "__main__":
    main(*sys.argv[1:])
