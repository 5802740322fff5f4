"""The sink ``sql``: tables of PostgreSQL, MariaDB, MySQL and SQLite."""
