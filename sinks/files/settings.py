"""The settings of the sink ``files``."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ingest.config import Settings
from ingest.sinks.lake.settings import LakeSettings

Compression = Literal["none", "gzip", "zstd", "bz2"]

_LEVELS = {"gzip": (1, 9), "zstd": (1, 22), "bz2": (1, 9)}
_IN_NUMBERS = "+-.: "


def _character(value: str) -> str:
    if len(value) != 1 or not value.isascii():
        raise ValueError('one ASCII character is needed; write control characters as in YAML, e.g. "\\x01" or "\\t"')
    if value.isalnum() or value in _IN_NUMBERS:
        raise ValueError(f"{value!r} occurs in numbers and times")
    return value


Character = Annotated[str, AfterValidator(_character)]


class CsvSettings(Settings):
    """How CSV is written (RFC 4180): texts always in quotes, numbers never, null as nothing at all."""

    delimiter: Character = Field(default=",", description="Between the columns of a row.")
    header: bool = Field(default=True, description="Whether each file begins with the names of its columns.")


class DelimitedSettings(Settings):
    """Text as Hive's LazySimpleSerDe and Sqoop write it; the defaults are Hive's own."""

    fields_terminated_by: Character = Field(default="\x01", description="Between columns; Hive's own is ^A.")
    collection_items_terminated_by: Character = Field(
        default="\x02", description="Between the items of a list, the entries of a map, the fields of an object: ^B."
    )
    map_keys_terminated_by: Character = Field(default="\x03", description="Between a map's key and its value: ^C.")
    lines_terminated_by: Character = Field(default="\n", description="After each row. Hive reads line feeds only.")
    escaped_by: Character | None = Field(
        default="\\",
        description="Stands before a delimiter inside a text. With null there is no escaping, as Hive's tables have "
        "it unless told `ESCAPED BY`: rows whose texts hold a delimiter or a line end are then refused.",
    )
    null_string: str = Field(
        default="\\N", min_length=1, max_length=32, description="What stands for null, at every level."
    )

    @model_validator(mode="after")
    def _all_different(self) -> Self:
        marks = [
            self.fields_terminated_by,
            self.collection_items_terminated_by,
            self.map_keys_terminated_by,
            self.lines_terminated_by,
            *([self.escaped_by] if self.escaped_by else []),
        ]
        if len(set(marks)) < len(marks):
            raise ValueError("two of the delimiters are the same character")
        if any(mark in self.null_string for mark in marks if mark != self.escaped_by):
            raise ValueError("null_string holds a delimiter")
        return self


class FilesSettings(LakeSettings):
    """Where the files go, how they are cut, and in which format they are written."""

    format: Literal["json", "csv", "delimited", "lines", "avro"] = Field(
        default="json",
        description="`json`: an object a line. `csv`. `delimited`: text with Hive's delimiters. `lines`: the one text "
        "of a record as it is, and a line feed. `avro`: object container files.",
    )
    compression: Compression = Field(
        default="none",
        description="Of whole files, seen in their names (`.gz`, `.zst`, `.bz2`); of the blocks inside Avro files.",
    )
    compression_level: int | None = Field(default=None, description="Level of the codec; its own default if unset.")
    csv: CsvSettings = Field(default_factory=CsvSettings, description="For the format `csv`.")
    delimited: DelimitedSettings = Field(
        default_factory=DelimitedSettings, description="For the format `delimited`; named as Sqoop's options are."
    )

    @model_validator(mode="after")
    def _level_of_codec(self) -> Self:
        level = self.compression_level
        if level is None:
            return self
        if self.compression == "none":
            raise ValueError("compression_level: without compression there are no levels")
        least, most = _LEVELS[self.compression]
        if not least <= level <= most:
            raise ValueError(f"compression_level: {self.compression} has levels {least} to {most}")
        return self
