"""Pipeline files as plain values with marks."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import ConfigError
from ingest.pipelines.document import MAX_DEPTH, Mark, parse_document, read_document


def test_values_remember_their_lines() -> None:
    document = parse_document("name: x\nsources:\n  - name: a\n    paths: [b, c]\n")
    assert document.value == {"name": "x", "sources": [{"name": "a", "paths": ["b", "c"]}]}
    assert document.mark(("sources", 0, "paths")) == Mark(4, 5)
    assert document.mark(("sources", 0, "paths", 1)) == Mark(4, 16)


def test_a_place_that_is_not_in_the_file_is_marked_by_what_is_around_it() -> None:
    document = parse_document("name: x\nsources:\n  - name: a\n")
    assert document.mark(("sources", 0, "type")) == Mark(3, 5)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1_000_000", 1_000_000),
        ("-5", -5),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("on", "on"),
        ("no", "no"),
        ("012", "012"),
        ("~", None),
        ("'5'", "5"),
        ('"true"', "true"),
        ("2026-01-31", "2026-01-31"),
        ("12:30:45", "12:30:45"),
        ("5m", "5m"),
    ],
)
def test_scalars_are_read_as_yaml_1_2_reads_them(text: str, value: object) -> None:
    found = parse_document(f"a: {text}").value["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "is empty"),
        ("# only a comment\n", 1, "is empty"),
        ("- a\n- b\n", 1, "is not a mapping"),
        ("just text", 1, "is not a mapping"),
        ("a: 1\na: 2\n", 2, "the key a twice"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: [1, 2\nb: 3\n", 2, "not valid YAML"),
        ("a:\n\t- 1\n", 2, "not valid YAML"),
        ("a: *nowhere\n", 1, "not defined"),
        ("a: &x [*x]\n", 1, "contain itself"),
        ("a: !!python/object:os.system x\n", 1, "tag"),
        ("a: \x07\n", 1, "not valid YAML"),
        ("? [a, b]\n: c\n", 1, "key that is no text"),
    ],
)
def test_what_is_no_pipeline_file_is_refused_with_its_line(text: str, line: int, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_document(text, "p.yaml")
    assert caught.value.facts["line"] == line
    assert what in caught.value.message


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_a_file_nested_thousands_deep_is_refused(opening: str) -> None:
    with pytest.raises(ConfigError):
        parse_document("a: " + opening * 5000)


def test_nesting_up_to_the_limit_is_read() -> None:
    depth = MAX_DEPTH - 1
    value = parse_document("a: " + "[" * depth + "]" * depth).value["a"]
    assert isinstance(value, list)


def test_aliases_cannot_blow_up_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(ConfigError, match="more than"):
        parse_document("\n".join(lines))


def test_an_alias_is_its_anchor() -> None:
    assert parse_document("a: &x {b: 1}\nc: *x\n").value == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize("data", [b"\x00\x01\x02\xff", b"\xff\xfe\x00", "náme: ü".encode("latin-1")])
def test_a_binary_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "p.yaml").write_bytes(data)
    with pytest.raises(ConfigError):
        read_document(tmp_path / "p.yaml")


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ingest init"):
        read_document(tmp_path / "none.yaml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        read_document(tmp_path)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes(b"\xef\xbb\xbfname: x\n")
    assert read_document(tmp_path / "p.yaml").value == {"name": "x"}


@given(st.text())
def test_any_text_is_a_document_or_a_config_error(text: str) -> None:
    error = None
    try:
        value = parse_document(text).value
    except ConfigError as caught:
        error = caught
    assert error.facts["line"] if error else isinstance(value, dict)
