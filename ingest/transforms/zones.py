"""Times without a zone: the ``timezone`` setting.

Where the clock was put back, a time stands twice: the earlier one is meant. Where it was put forward, a
time is missing: the first instant after the gap is meant.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ingest.errors import ConfigError

_NAIVE = pa.timestamp("us")
_UTC = pa.timestamp("us", tz="UTC")


def check_timezone(name: str, setting: str = "timezone") -> str:
    """``name`` if it is UTC, an offset such as ``+02:00``, or a zone of the time zone database."""
    try:
        to_utc(pa.array([0], pa.int64()).cast(_NAIVE), name)
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        hint = "write UTC, an offset such as +02:00, or a name such as Europe/Berlin (the system's tzdata knows them)"
        raise ConfigError(f"{setting}: there is no time zone {name}: {error}", hint=hint, setting=setting) from None
    return name


def to_utc(naive: pa.Array, timezone: str) -> pa.Array:
    """Times of a clock on the wall in ``timezone`` as instants."""
    if timezone == "UTC":
        return naive.cast(pa.timestamp(naive.type.unit, tz="UTC"))
    zoned = pc.assume_timezone(naive, timezone, ambiguous="earliest", nonexistent="latest")
    return zoned.cast(pa.timestamp(naive.type.unit, tz="UTC"))
