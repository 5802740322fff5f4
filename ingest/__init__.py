"""Ingest: sources, a partitioned log and sinks in one process.

``ingest.connect("./data")`` opens a hub for a program; see ``ingest.hub.client``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ingest.hub.connect import connect

__version__ = "0.1.0"
__all__ = ["__version__", "connect"]


def __getattr__(name: str) -> Any:
    # Late: `ingest --help` and the errors must not load Arrow.
    if name == "connect":
        from ingest.hub.connect import connect

        return connect
    raise AttributeError(f"module 'ingest' has no attribute {name!r}")
