"""Hubs: the log that a pipeline runs on, behind one contract."""
