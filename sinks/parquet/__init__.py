"""Typed columns to Parquet files, exactly once."""
