"""Record values as lines of text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as t

from ingest.transforms.refusals import Refusals


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this type are text, or bytes that may be."""
    kind = kind.value_type if t.is_dictionary(kind) else kind
    return bool(
        t.is_string(kind) or t.is_binary(kind) or t.is_large_string(kind) or t.is_large_binary(kind)
        or t.is_string_view(kind) or t.is_binary_view(kind) or t.is_fixed_size_binary(kind) or t.is_null(kind)
    )  # fmt: skip


def as_lines(value: pa.Array) -> tuple[pa.StringArray, Refusals]:
    """The values as one ``string`` array, without a copy where they are one in all but name.

    Bytes that are not UTF-8 are refused; their lines are null.
    """
    if t.is_string(value.type):
        return value, Refusals()
    try:
        return value.cast(pa.string()), Refusals()
    except pa.ArrowInvalid:
        return _checked(value.cast(pa.binary()))


def _checked(value: pa.Array) -> tuple[pa.StringArray, Refusals]:
    refusals = Refusals()
    for row, each in enumerate(value.to_pylist()):
        try:
            if each is not None:
                each.decode()
        except UnicodeDecodeError as error:
            refusals.add([row], [f"not UTF-8 at byte {error.start}: {error.reason}"])
    bad = np.zeros(len(value), dtype=bool)
    bad[list(refusals.reasons)] = True
    return pc.if_else(pa.array(bad), pa.scalar(None, pa.binary()), value).cast(pa.string()), refusals
