"""Rows of CSV as objects; the first row names the columns, and every value is text."""

from __future__ import annotations

import io
import re
from typing import Any

from ingest.sources.http.refused import Refused

_ROW = re.compile(r"[Rr]ow #?(\d+)")


def csv_rows(body: bytes, delimiter: str) -> tuple[bytes, int]:
    """Columns as an Arrow IPC stream, and the number of rows.

    Raises ``Refused``: a batch with a row that does not fit is refused whole.
    """
    import pyarrow as pa
    from pyarrow import csv

    names = _names(body, delimiter)
    if body.count(b'"') % 2:
        line = _open_quote(body)
        raise Refused(400, f"line {line}: a quote that is never closed", line=line)
    try:
        table = csv.read_csv(
            io.BytesIO(body),
            read_options=csv.ReadOptions(use_threads=False, block_size=max(len(body) + 1, 1024)),
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=False,
                quoted_strings_can_be_null=False,
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        found = _ROW.search(str(error))
        facts: dict[str, Any] = {"row": int(found.group(1))} if found else {}
        raise Refused(400, f"not CSV: {str(error).splitlines()[0]}", **facts) from None
    if not table.num_rows:
        raise Refused(400, "the CSV holds no row but that of the names")
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return stream.getvalue().to_pybytes(), table.num_rows


def _open_quote(body: bytes) -> int:
    """The line of the row in which the last quote is open; the parser would take all that follows for its value."""
    import numpy as np

    content = np.frombuffer(body, np.uint8)
    line_ends, quotes = np.flatnonzero(content == ord("\n")), np.flatnonzero(content == ord('"'))
    rows_before = np.flatnonzero(np.searchsorted(quotes, line_ends) % 2 == 0)
    return int(rows_before[-1]) + 2 if len(rows_before) else 1


def _names(body: bytes, delimiter: str) -> list[str]:
    import csv

    try:
        head = body[: 1 << 20].decode("utf-8", "ignore")
        names = next(csv.reader(io.StringIO(head), delimiter=delimiter), [])
    except csv.Error as error:
        raise Refused(400, f"line 1: the names of the columns cannot be read: {error}", line=1) from None
    if not names or any(not name.strip() for name in names):
        raise Refused(400, "line 1: the first row must name every column", line=1)
    if len(set(names)) < len(names):
        raise Refused(422, "line 1: two columns have the same name", line=1)
    return names
