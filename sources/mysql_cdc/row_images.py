"""Heads of binlog events and the rows in them: by the compiled kernel, else by its twin.

``INGEST_PURE=1`` in the environment chooses the twin where both are there.
"""

from __future__ import annotations

import os

try:
    if os.environ.get("INGEST_PURE"):
        raise ImportError("the twin was asked for")
    from ingest.sources.mysql_cdc._row_images import decode_images, headers, images
except ImportError:
    from ingest.sources.mysql_cdc.row_images_twin import decode_images, headers, images

__all__ = ["decode_images", "headers", "images"]
