"""Ingest: sources, a partitioned log and sinks in one process."""

__version__ = "0.1.0"
