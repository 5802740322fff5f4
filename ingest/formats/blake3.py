"""BLAKE3 digests of many texts: by the compiled kernel, else by its twin.

``INGEST_PURE=1`` in the environment chooses the twin where both are there.
"""

from __future__ import annotations

import os

try:
    if os.environ.get("INGEST_PURE"):
        raise ImportError("the twin was asked for")
    from ingest.formats._blake3 import digests
except ImportError:
    from ingest.formats.blake3_twin import digests

__all__ = ["digests"]
