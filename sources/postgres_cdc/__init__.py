"""The source ``postgres_cdc``: the changes of PostgreSQL tables, from its write-ahead log."""
