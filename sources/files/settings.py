"""The settings of the source ``files``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PlainSerializer, model_validator

from ingest.config import ByteSize, DurationMs, Settings
from ingest.formats.type_names import type_named

Hidden = Annotated[
    dict[str, Any],
    PlainSerializer(lambda value: dict.fromkeys(value, "**********"), return_type=dict[str, str]),
]


def _types(value: dict[str, str]) -> dict[str, str]:
    for name in value.values():
        type_named(name)
    return value


def _character(value: str) -> str:
    if len(value) != 1 or not value.isascii() or value in "\r\n":
        raise ValueError("one ASCII character is needed, and no line end")
    return value


def _line_end(value: str) -> str:
    if len(value) != 1 or not value.isascii():
        raise ValueError("one ASCII character is needed")
    return value


Character = Annotated[str, AfterValidator(_character)]
LineEnd = Annotated[str, AfterValidator(_line_end)]


class CsvSettings(Settings):
    """How CSV is read. Every column is text, unless ``types`` or ``infer_types`` say otherwise."""

    delimiter: Character | None = Field(
        default=None, description="Between the columns of a row. Unset: a comma, or a tab in objects named `.tsv`."
    )
    quote: Character | None = Field(
        default='"', description="Around values that hold a delimiter or a line end; null: there is none."
    )
    header: bool = Field(default=True, description="Whether each object begins with the names of its columns.")
    columns: list[str] | None = Field(
        default=None, description="The names, where there is no header; with one, they stand for those in it."
    )
    types: Annotated[dict[str, str], AfterValidator(_types)] = Field(
        default_factory=dict,
        description="Types by column, as in the transform `cast`. A value that does not fit makes its row a dead "
        "letter; an empty one is null. A time without a zone is taken for UTC.",
    )
    infer_types: bool = Field(
        default=False,
        description="Guess the types of the other columns, for each object from its first batch of rows: int64, "
        "float64, boolean (`true`, `false`), date, timestamp, else text. What does not fit later is a dead letter. "
        "Leading zeros make a text. Better name `types`: another object may guess otherwise.",
    )
    null_values: list[str] = Field(
        default_factory=lambda: [""], description="What is null where it stands without quotes."
    )

    @model_validator(mode="after")
    def _names(self) -> Self:
        if not self.header and not self.columns:
            raise ValueError("columns are needed where there is no header")
        if self.columns and len(set(self.columns)) < len(self.columns):
            raise ValueError("columns: a name stands twice")
        return self


class DelimitedSettings(Settings):
    """How text with delimiters is read, as Hive and Sqoop write it. Every column is text."""

    columns: list[str] = Field(default_factory=list, description="The names of the columns, in their order: needed.")
    fields_terminated_by: Character = Field(default="\x01", description="Between columns; Hive's own is ^A.")
    lines_terminated_by: LineEnd = Field(default="\n", description="After each row.")
    enclosed_by: Character | None = Field(
        default=None, description="May stand around a value, in which delimiters and line ends are then text."
    )
    escaped_by: Character | None = Field(
        default="\\",
        description="Makes text of a delimiter, a line end or itself behind it; `\\n` and `\\r` are line ends.",
    )
    null_values: list[str] = Field(
        default_factory=lambda: ["\\N"], description="What is null where it stands alone, not enclosed."
    )
    null_values_of: dict[str, list[str]] = Field(
        default_factory=dict, description="The same for single columns, in place of `null_values`."
    )

    @model_validator(mode="after")
    def _all_different(self) -> Self:
        marks = [self.fields_terminated_by, self.lines_terminated_by, self.enclosed_by, self.escaped_by]
        given = [mark for mark in marks if mark is not None]
        if len(set(given)) < len(given):
            raise ValueError("two of the delimiters are the same character")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("columns: a name stands twice")
        strays = [name for name in self.null_values_of if name not in self.columns]
        if strays:
            raise ValueError(f"null_values_of: {strays[0]} is none of the columns")
        return self


class FilesSettings(Settings):
    """Which objects are read, how, and what becomes of them."""

    url: str = Field(
        min_length=1,
        description="A folder (relative to the pipeline file), one file, or an fsspec URL such as "
        "`s3://bucket/landing`, `hdfs://namenode:8020/landing`.",
    )
    pattern: list[str] = Field(
        default_factory=lambda: ["**"],
        min_length=1,
        description="Globs over the names below `url`; `**` crosses folders. Names that begin with `_` or `.`, and "
        "those of unfinished files (`.tmp`, `.part`, `.inprogress`, `._COPYING_`), are passed over, whole folders too.",
    )
    exclude: list[str] = Field(default_factory=list, description="Globs of objects that are not read.")
    format: Literal["auto", "csv", "delimited", "json", "lines", "parquet", "avro"] = Field(
        default="auto",
        description="`auto`: by the name (`.csv`, `.tsv`, `.json`, `.jsonl`, `.ndjson`, `.txt`, `.log`, `.parquet`, "
        "`.avro`, `.dsv`, with or without `.gz`, `.bz2`, `.zst`). `json` is an object a line; `delimited` (`.dsv`) is "
        "text with delimiters and without a header, as Hive and Sqoop write it.",
    )
    folder_columns: list[str] = Field(
        default_factory=list,
        description="Columns that are not in the files but in the names of their folders, as Hive and Spark lay "
        "partitioned tables out (`region=eu/part-0.parquet`): they are added as texts.",
    )
    order: Literal["modified", "name"] = Field(
        default="modified", description="Which of the objects that wait is read first: the oldest, or by name."
    )
    every: DurationMs = Field(default=10_000, ge=10, description="How often to look for new objects.")
    min_age: DurationMs = Field(
        default=5_000,
        ge=0,
        description="An object is left alone until it has not changed for so long: it may be half written.",
    )
    changed: Literal["report", "reread", "ignore"] = Field(
        default="report",
        description="An object that was overwritten after (or while) it was read: `report` makes a dead letter that "
        "names it, `reread` reads all of it again, `ignore` leaves it.",
    )
    after: Literal["keep", "delete", "move"] = Field(
        default="keep", description="What becomes of an object once all its rows are on the hub's disk."
    )
    move_to: str | None = Field(
        default=None, description="For `after: move`: a folder in the same store (a path, without a scheme)."
    )
    max_record: ByteSize = Field(
        default=1024 * 1024, ge=16, description="A longer line or CSV record is a dead letter, cut to this size."
    )
    csv: CsvSettings = Field(default_factory=CsvSettings, description="For CSV.")
    delimited: DelimitedSettings = Field(
        default_factory=DelimitedSettings, description="For `delimited`; named as Sqoop's options are."
    )
    storage_options: Hidden = Field(
        default_factory=dict,
        repr=False,
        description="Passed to the fsspec file system: `key`, `secret`, `endpoint_url`, ... Never printed.",
    )

    @model_validator(mode="after")
    def _columns_of_delimited(self) -> Self:
        if self.format == "delimited" and not self.delimited.columns:
            raise ValueError("format delimited needs delimited.columns: the files do not tell them")
        return self

    @model_validator(mode="after")
    def _move_to(self) -> Self:
        if (self.after == "move") != (self.move_to is not None):
            raise ValueError("move_to and after: move need each other")
        return self
