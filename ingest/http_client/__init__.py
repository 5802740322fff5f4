"""Asking other programs over HTTP: what the connectors share that do so."""
