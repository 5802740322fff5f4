"""Sinks: data out."""
