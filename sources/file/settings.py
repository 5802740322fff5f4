"""The settings of the ``file`` source."""

from __future__ import annotations

import codecs
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from ingest.config import ByteSize, DurationMs, Settings

KIB = 1024
MIB = 1024 * KIB
DAY_MS = 86_400_000
_ESCAPING = ("utf-7", "hz", "punycode", "idna", "unicode", "raw-unicode")


def check_regex(pattern: str) -> str:
    """``pattern`` if RE2 takes it; raises ``ValueError`` else."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{pattern!r} is not a regular expression (RE2): {error}") from None
    return pattern


class Multiline(Settings):
    """How lines join to records: exactly one of ``start`` and ``continuation``."""

    start: str | None = Field(None, description="A line that matches (RE2, anywhere in the line) begins a record.")
    continuation: str | None = Field(None, description="A line that matches belongs to the record before it.")
    timeout: DurationMs = Field(
        5_000, ge=0, description="A record is complete when its file has not grown for this long."
    )
    max_lines: int = Field(1_000, ge=1, description="A record ends after this many lines, whatever comes next.")

    @field_validator("start", "continuation")
    @classmethod
    def _is_regex(cls, value: str | None) -> str | None:
        return value if value is None else check_regex(value)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.start is None) == (self.continuation is None):
            raise ValueError("multiline needs exactly one of start and continuation")
        return self


class Spool(Settings):
    """Files are dropped into the folder whole; each is read once, then put away."""

    after: Literal["rename", "move", "delete"] = Field(
        "rename", description="What happens to a file once the hub has all of it on disk."
    )
    suffix: str = Field(".done", min_length=1, description="What `rename` appends; such files are never read.")
    to: str | None = Field(None, description="The folder that `move` moves to; made if it is missing.")

    @field_validator("suffix")
    @classmethod
    def _no_folder(cls, value: str) -> str:
        if "/" in value:
            raise ValueError("a suffix has no slash; use after: move")
        return value

    @model_validator(mode="after")
    def _move_needs_a_folder(self) -> Self:
        if (self.after == "move") != (self.to is not None):
            raise ValueError("`to` goes with `after: move`, and only with it")
        return self


class FileSettings(Settings):
    """Settings of the ``file`` source."""

    paths: list[str] = Field(
        min_length=1,
        description="Files, as globs: `*`, `?`, `[a-z]`, and `**` for any number of folders. Symbolic links are "
        "followed, the same file is read once whatever its names. Wildcards pass over the data folders of hubs and "
        "the tables that sinks write.",
    )
    exclude: list[str] = Field(
        default_factory=list,
        description="Globs of files to leave alone; one without a slash is held against the file's name.",
    )
    start_at: Literal["beginning", "end"] = Field(
        "beginning", description="Where files that stand at the very first start are begun; later ones always at 0."
    )
    compression: Literal["auto", "none", "gzip", "bz2", "zstd"] = Field(
        "auto", description="`auto` looks at the first bytes of each file."
    )
    encoding: str = Field(
        "utf-8", description="Of the files; a byte order mark at a file's beginning wins. Records are UTF-8."
    )
    undecodable: Literal["dead-letter", "replace", "bytes"] = Field(
        "dead-letter",
        description="A line that is not in the encoding goes to the dead letters, or has U+FFFD in place of bad "
        "bytes; `bytes` decodes nothing: all values are the line's own bytes.",
    )
    multiline: Multiline | None = Field(None, description="Join lines to records.")
    max_line: ByteSize = Field(1 * MIB, ge=16, le=1024 * MIB, description="A longer record is handled by `long_lines`.")
    long_lines: Literal["dead-letter", "split"] = Field(
        "dead-letter",
        description="A record over `max_line` goes to the dead letters (in pieces if it is larger than a batch), "
        "or is split into records of at most that size.",
    )
    rotate_wait: DurationMs = Field(
        5_000,
        ge=0,
        description="How long a file that lost its name is still watched for its last lines, and a file that looks "
        "like a copy of a standing one waits before it is taken for a file of its own.",
    )
    forget_after: DurationMs = Field(
        30 * DAY_MS, ge=0, description="How long a vanished file is remembered, in case a copy of it turns up."
    )
    spool: Spool | None = Field(None, description="Whole files: read once, then renamed, moved or deleted.")
    watch: bool = Field(
        True, description="Be woken by the file system's events. They are a help only: files are polled anyway."
    )
    max_open_files: int = Field(512, ge=8, description="Files held open at once; quiet ones are closed first.")

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            known = codecs.lookup(value)
            "\n".encode(value)
        except (LookupError, UnicodeError, TypeError):
            raise ValueError(f"no such encoding: {value!r}") from None
        if not getattr(known, "_is_text_encoding", True):
            raise ValueError(f"{value!r} does not encode text")
        if known.name.startswith(_ESCAPING):
            raise ValueError(f"{value!r} can hide a line feed inside other bytes: lines cannot be told apart")
        return value

    @field_validator("paths")
    @classmethod
    def _not_empty(cls, value: list[str]) -> list[str]:
        if any(not path.strip() or "\0" in path for path in value):
            raise ValueError("an empty path")
        return value
