"""Regular expressions as RE2 takes them: their time grows with the text alone, whatever the text is."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ingest.errors import ConfigError


def check_regex(pattern: str, setting: str) -> str:
    """``pattern`` if RE2 takes it. Raises ``ConfigError`` that blames ``setting``."""
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as error:
        hint = None
        if any(sign in pattern for sign in ("(?=", "(?!", "(?<=", "(?<!", "(?>", "\\1")):
            hint = "RE2 has no look-around, no atomic groups and no references back"
        why = str(error).removeprefix("Invalid regular expression: ")
        raise ConfigError(f"{setting}: no regular expression: {why}", hint=hint, setting=setting) from None
    return pattern
