"""How readers take data files, by the ends of their names. What a text does not tell by itself stays text: times,
decimals and binary values of JSON lines and CSV are texts in a query, to be cast there."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset as ds
from pyarrow import types as t

from ingest.errors import UsageError
from ingest.sinks.lake.names import SUFFIX

_COMPRESSED = re.compile(r"\.(gz|bz2)$")
_NO_DELIMITER = "\x01"
"""Plain text has one column; a line with this character in it cannot be read."""


def is_parquet(path: str) -> bool:
    """Whether the file brings its own types."""
    return path.endswith(SUFFIX)


def dataset_format(path: str, column: str) -> ds.FileFormat:
    """What reads the file; ``column`` is the name of the one column of plain text. Raises ``UsageError``."""
    kind = _COMPRESSED.sub("", path).rpartition(".")[2]
    if kind == "parquet":
        return ds.ParquetFileFormat()
    if kind == "jsonl":
        return ds.JsonFileFormat()
    if kind in ("csv", "tsv"):
        parse = pa.csv.ParseOptions(delimiter="\t" if kind == "tsv" else ",", newlines_in_values=True)
        convert = pa.csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""])
        return ds.CsvFileFormat(parse_options=parse, convert_options=convert)
    if kind == "txt":
        parse = pa.csv.ParseOptions(delimiter=_NO_DELIMITER, quote_char=False, ignore_empty_lines=False)
        read = pa.csv.ReadOptions(column_names=[column])
        convert = pa.csv.ConvertOptions(strings_can_be_null=False)
        return ds.CsvFileFormat(parse_options=parse, read_options=read, convert_options=convert)
    raise UsageError(
        f"{path} is not read here: only Parquet, JSON lines, CSV and plain lines are, gzip and bz2 included",
        hint="read such files with the programs that they were written for",
    )


def as_texts_tell(schema: pa.Schema) -> pa.Schema:
    """The columns as they can be read from text without knowing how they were written."""
    return pa.schema([field if _told(field.type) else field.with_type(pa.string()) for field in schema])


def _told(kind: pa.DataType) -> bool:
    return bool(t.is_integer(kind) or t.is_floating(kind) or t.is_boolean(kind) or t.is_string(kind))
