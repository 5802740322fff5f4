"""Columns <-> record values, and the schemas of topics."""
