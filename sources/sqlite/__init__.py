"""Reading SQLite."""
