"""The source ``sql``: tables and queries of a database."""
