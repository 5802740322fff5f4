"""Rows to text, CSV, JSON lines and Avro files, exactly once."""
