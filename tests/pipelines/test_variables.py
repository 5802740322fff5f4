"""``${VAR}`` in scalars."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.errors import ConfigError
from ingest.pipelines.variables import substitute


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "1"),
        ("x-${A}-${B}", "x-1-y"),
        ("${NONE:-default}", "default"),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY}", ""),
        ("${NONE:-}", ""),
        ("$${A}", "${A}"),
        ("costs $5", "costs $5"),
        ("${A:-other}", "1"),
    ],
)
def test_a_variable_is_replaced(text: str, expected: str) -> None:
    assert substitute(text, {"A": "1", "B": "y", "EMPTY": ""}) == expected


def test_a_value_is_not_expanded_again() -> None:
    assert substitute("${A}", {"A": "${B}", "B": "no"}) == "${B}"


@pytest.mark.parametrize("text", ["${NONE}", "${}", "${1A}", "${a b}"])
def test_what_is_not_set_or_no_name_is_an_error_with_a_hint(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        substitute(text, {})
    assert caught.value.hint


def test_a_file_gives_its_text_without_the_last_newline(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cr3t\n")
    assert substitute(f"${{file:{tmp_path / 'secret'}}}", {}) == "s3cr3t"


def test_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing"):
        substitute(f"${{file:{tmp_path / 'nothing'}}}", {})
