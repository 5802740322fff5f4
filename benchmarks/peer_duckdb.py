"""The main job in DuckDB: one statement, all cores, no guarantee."""

from __future__ import annotations

import sys

import duckdb

from benchmarks.main_job import PATTERN

NAMES = ["host", "ident", "user", "time", "method", "path", "protocol", "status", "bytes", "referer", "user_agent"]


def main(log: str, target: str) -> None:
    """``COPY (SELECT ...) TO``."""
    pattern = PATTERN.replace("'", "''")
    duckdb.sql(f"""
        COPY (
            SELECT g.host, g.ident, g.user, strptime(g.time, '%d/%b/%Y:%H:%M:%S %z') AS time, g.method, g.path,
                   g.protocol, g.status::INTEGER AS status,
                   nullif(g.bytes, '-')::BIGINT AS bytes, g.referer, g.user_agent
            FROM (
                SELECT regexp_extract(line, '{pattern}', {NAMES}) AS g
                FROM read_csv('{log}', columns={{'line': 'VARCHAR'}}, delim='\x01', quote='', escape='', header=false,
                              auto_detect=false)
            )
        ) TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 131072)
    """)


if __name__ == "__main__":
    main(*sys.argv[1:])
