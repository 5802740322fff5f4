"""The settings of ``parse``: what each format takes, and what it refuses."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from ingest.config import Settings

FormatName = Literal["combined", "common"]
FORMATS = get_args(FormatName)


class ParseSettings(Settings):
    """Settings of ``parse``; which of them a format takes stands with each."""

    format: FormatName = Field(description="What the lines are: docs/formats/parsed-lines.md has each one's columns.")
