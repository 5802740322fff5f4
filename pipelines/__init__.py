"""Pipelines: what users write."""
