"""The settings of ``parse``, and which of them each format takes."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from ingest.config import Settings

FormatName = Literal["combined", "common", "json", "logfmt", "syslog", "csv", "tsv", "w3c", "zeek", "regex", "grok"]

_TYPED = {"types", "timestamp", "time_format", "timezone"}
_DELIMITED = {"columns", "header", "delimiter"}
_TAKEN: dict[str, set[str]] = {
    "combined": set(),
    "common": set(),
    "json": _TYPED,
    "logfmt": _TYPED,
    "syslog": {"timezone", "year"},
    "csv": _TYPED | _DELIMITED,
    "tsv": _TYPED | _DELIMITED - {"delimiter"},
    "w3c": {"types", "timezone"},
    "zeek": set(),
    "regex": _TYPED | {"pattern"},
    "grok": _TYPED | {"pattern", "patterns"},
}


class ParseSettings(Settings):
    """Settings of ``parse``."""

    format: FormatName = Field(description="What the lines are: docs/formats/parsed-lines.md has each one's columns.")
    pattern: str | None = Field(
        None,
        description="Of `regex` and `grok`: a regular expression (RE2) whose named groups become columns, anywhere in "
        "the line unless anchored; in grok with `%{NAME}`, `%{NAME:column}` and `%{NAME:column:type}`.",
    )
    patterns: dict[str, str] | None = Field(None, description="Of `grok`: patterns of your own, by name.")
    columns: list[str] | None = Field(
        None, min_length=1, description="Of `csv` and `tsv`: names of the columns; the first line has them unless set."
    )
    header: bool | None = Field(
        None, description="Of `csv` and `tsv`: whether a stream's first line is a header. True unless `columns` is set."
    )
    delimiter: str = Field(",", min_length=1, max_length=8, description="Of `csv`: what stands between fields.")
    types: dict[str, str] = Field(
        default_factory=dict,
        description="Types of columns, which are text otherwise: `{status: int32, time: timestamp}`. An empty text "
        "is null; a line with a value that does not fit is refused.",
    )
    timestamp: str | None = Field(
        None, description="The column that becomes the record's timestamp: the first timestamp of `types` unless set."
    )
    time_format: str | None = Field(
        None,
        description="How timestamps are written: letters of strptime (`%d/%b/%Y %H:%M:%S`, with `%f` for fractions), "
        "or `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns`. ISO 8601 unless set.",
    )
    timezone: str | None = Field(
        None, description="Of times that have none: UTC (the default), `+02:00`, or a name such as `Europe/Berlin`."
    )
    year: int | None = Field(
        None, ge=1, le=9999, description="Of `syslog` times without a year: from the file's own time unless set."
    )

    @model_validator(mode="after")
    def _settings_of_the_format(self) -> Self:
        for name in sorted(self.model_fields_set - {"format"} - _TAKEN[self.format]):
            takers = [each for each, taken in _TAKEN.items() if name in taken]
            raise ValueError(f"`{name}` is no setting of {self.format}; it goes with {', '.join(takers)}")
        if self.format in ("regex", "grok") and not self.pattern:
            raise ValueError(f"{self.format} needs a `pattern`")
        if self.columns is not None and len(set(self.columns)) != len(self.columns):
            raise ValueError("`columns` names one twice")
        if '"' in self.delimiter or "\n" in self.delimiter:
            raise ValueError("`delimiter` cannot hold a quote or a line end")
        return self
