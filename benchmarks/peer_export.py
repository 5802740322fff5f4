"""One peer's way from a Parquet file into a table that is there, as its documentation has it.

python peer_export.py adbc|duckdb URL FILE
"""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlsplit


def main(peer: str, url: str, file: str) -> None:
    {"adbc": adbc, "duckdb": duck}[peer](url, file)


def adbc(url: str, file: str) -> None:
    import pyarrow.dataset as ds

    if url.startswith("sqlite"):
        from adbc_driver_sqlite import dbapi

        connection = dbapi.connect(url.removeprefix("sqlite:///"))
    else:
        from adbc_driver_postgresql import dbapi

        connection = dbapi.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.adbc_ingest("lineitem", ds.dataset(file).scanner().to_reader(), mode="append")
        connection.commit()


def duck(url: str, file: str) -> None:
    import duckdb
    import duckdb_extension_postgres_scanner as scanner

    extension = next(Path(scanner.__path__[0]).rglob("*.duckdb_extension"))
    parts = urlsplit(url)
    attached = f"host={parts.hostname} port={parts.port} user={parts.username} dbname={parts.path[1:]}"
    duckdb.sql(f"LOAD '{extension}'")
    duckdb.sql(f"ATTACH '{attached}' AS db (TYPE postgres)")
    duckdb.sql(f"INSERT INTO db.public.lineitem SELECT * FROM '{file}'")


if __name__ == "__main__":
    main(*sys.argv[1:])
