"""Compressed files whose end cannot be read: told once, so that nothing vanishes silently."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from ingest.sources.file.prefix import PrefixCheck
from ingest.sources.file.rules import Dead
from ingest.sources.file.stream import Stream


def ends_badly(stream: Stream, *, is_over: bool) -> bool:
    """Whether there is something to tell: damage, or a cut-off end where nobody writes any more (``is_over``)."""
    content, file = stream.content, stream.file
    if content is None or file is None or not stream.exhausted or stream.position.told == file.found.size:
        return False
    return content.damage is not None or (is_over and not content.finished)


def tell(stream: Stream) -> Dead | None:
    """The dead letter for a file that ends badly; None: first it must be read again from its beginning, for it
    may be that not the data is damaged but another file was written in its place."""
    content, file = stream.content, stream.file
    assert content is not None
    assert file is not None
    if content.damage is not None and stream.offset and not stream.read_again:
        stream.read_again = True
        stream.exhausted = False
        content.rewind()
        stream.check = PrefixCheck(content, stream.position.fingerprint)
        return None
    reason = content.damage or f"the {content.compression} data ends in the middle; what came before it was read"
    # What was cut off may still be completed, unless the file is gone.
    hopeless = content.damage is not None or file.left_scan is not None
    at = np.array([stream.offset], np.int64)
    value = stream.take_rest() if hopeless else b""
    stream.position = replace(stream.position, told=file.found.size)
    return Dead(pa.array([value], pa.binary()), at, reason, "DamagedFile")
