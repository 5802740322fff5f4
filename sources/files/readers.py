"""From an object to the reader of its format."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import IO, Any

from ingest.sources.files.folder_columns import WithFolderColumns
from ingest.sources.files.pieces import ObjectReader, Unreadable
from ingest.sources.files.settings import FilesSettings

_COMPRESSED = re.compile(r"\.(gz|bz2|zst|zstd)$")
_ENDINGS = {
    "csv": "csv",
    "tsv": "csv",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "dsv": "delimited",
    "txt": "lines",
    "log": "lines",
    "parquet": "parquet",
    "avro": "avro",
}


def format_of(name: str, settings: FilesSettings) -> str:
    """Raises ``Unreadable`` for a name that tells nothing."""
    if settings.format != "auto":
        return settings.format
    known = known_format(name)
    if known is None:
        raise Unreadable("its name does not tell a format; set `format`, or leave it out by `pattern`")
    return known


def known_format(name: str) -> str | None:
    """What the ending of a name tells, if anything."""
    return _ENDINGS.get(_COMPRESSED.sub("", name.lower()).rpartition(".")[2])


def open_reader(file: IO[bytes], name: str, settings: FilesSettings, place: Mapping[str, Any]) -> ObjectReader:
    """Takes the open file over. ``place`` is where a reader of the same object stood, or empty."""
    reader = _reader(file, name, settings, place)
    return WithFolderColumns(reader, name, settings.folder_columns) if settings.folder_columns else reader


def _reader(file: IO[bytes], name: str, settings: FilesSettings, place: Mapping[str, Any]) -> ObjectReader:
    form = format_of(name, settings)
    if form == "parquet":
        from ingest.sources.files.parquet_reader import ParquetReader

        return ParquetReader(file, place)
    if form == "avro":
        from ingest.sources.files.avro_reader import AvroReader

        return AvroReader(file, place)
    from ingest.sources.files.content import Content

    content = Content(file, int(place.get("at", 0)))
    if form == "csv":
        from ingest.sources.files.csv_reader import CsvReader

        tabs = re.search(r"\.tsv(\.|$)", name.lower()) is not None
        delimiter = settings.csv.delimiter or ("\t" if tabs else ",")
        return CsvReader(content, settings.csv, place, delimiter=delimiter, max_record=settings.max_record)
    if form == "delimited":
        from ingest.sources.files.delimited_reader import DelimitedReader

        return DelimitedReader(content, settings.delimited, place, max_record=settings.max_record)
    from ingest.sources.files.text_reader import TextReader

    return TextReader(content, form, place, settings.max_record)
