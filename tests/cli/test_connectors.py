"""``ingest connectors``: what there is, in sentences and units that a stranger understands."""

from __future__ import annotations

import json

import pytest
from pydantic import Field

from ingest.cli.connectors import settings_of
from ingest.cli.main import main
from ingest.config import ByteSize, DurationMs, Settings, duration_text, parse_duration_ms, parse_size_bytes, size_text


class Inner(Settings):
    every: DurationMs = Field(90_000, description="How often.")


class Outer(Settings):
    wait: DurationMs | None = Field(None, description="How long.")
    most: ByteSize = Field(4096, description="How much.")
    inner: Inner = Field(Inner(), description="More.")
    parts: list[Inner] = Field(description="Several.")


def test_settings_have_units_and_those_of_mappings_are_told_too() -> None:
    rows = {row["name"]: (row["type"], row["required"], row["default"]) for row in settings_of(Outer)}
    assert rows == {
        "wait": ("duration | null", False, None),
        "most": ("size", False, "4KiB"),
        "inner": ("mapping", False, {}),
        "inner.every": ("duration", False, "90s"),
        "parts": ("list of mapping", True, None),
        "parts.every": ("duration", False, "90s"),
    }


@pytest.mark.parametrize("value", [0, 1, 999, 1000, 5_400_000, 86_400_000, 90_061_001])
def test_a_duration_is_written_as_it_is_read(value: int) -> None:
    assert parse_duration_ms(duration_text(value)) == value


@pytest.mark.parametrize("value", [0, 1, 1000, 1024, 1536, 128 * 1024**2, 3 * 1024**4])
def test_a_size_is_written_as_it_is_read(value: int) -> None:
    assert parse_size_bytes(size_text(value)) == value


def test_every_connector_has_a_whole_sentence_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connectors", "list", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows
    assert [row for row in rows if not row["summary"][0].isupper() or not row["summary"].endswith((".", "!"))] == []
    assert len({row["summary"] for row in rows}) == len(rows)


def test_every_setting_says_what_it_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connectors", "list", "--json"]) == 0
    types = {json.loads(line)["type"] for line in capsys.readouterr().out.splitlines()}
    for type_ in sorted(types):
        assert main(["connectors", "describe", type_, "--json"]) == 0
        for line in capsys.readouterr().out.splitlines():
            silent = [row["name"] for row in json.loads(line)["settings"] if not row["description"]]
            assert silent == [], type_
