"""The partitioned log on disk."""
