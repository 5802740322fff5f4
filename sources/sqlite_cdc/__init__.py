"""The source ``sqlite_cdc``: changes of SQLite tables, written down by triggers."""
