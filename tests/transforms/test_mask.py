"""``mask`` hides values."""

from __future__ import annotations

import hashlib
import hmac

import pyarrow as pa
import pytest
from pydantic import ValidationError

from ingest.connectors import Records
from ingest.connectors.testing import TransformContract
from ingest.errors import ConfigError
from ingest.transforms.mask import Mask


def mask(value: object, **settings: object) -> object:
    transform = Mask(Mask.Settings(columns=["x"], **settings))  # type: ignore[arg-type]
    return transform.apply(Records(value=pa.array([{"x": value}])), {}).records[0].value.to_pylist()[0]["x"]


class TestMask(TransformContract):
    def transform(self) -> Mask:
        return Mask(Mask.Settings(columns=["user"], method="hash", key="secret"))  # type: ignore[arg-type]

    def good(self) -> pa.Array:
        return pa.array([{"user": "a", "n": 1}, {"user": None, "n": 2}, {"user": "a", "n": 3}, None])


def test_a_hash_is_keyed_and_the_same_for_the_same_value() -> None:
    assert mask("eve", method="hash", key="k") == hmac.new(b"k", b"eve", hashlib.sha256).hexdigest()
    assert mask("eve", method="hash", key="k2") != mask("eve", method="hash", key="k")


def test_the_key_does_not_show() -> None:
    assert "sesame" not in repr(Mask.Settings(columns=["x"], method="hash", key="sesame"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "settings", "masked"),
    [
        ("eve", {}, "***"),
        (17, {"text": "?"}, "?"),
        ("", {}, "***"),
        (None, {}, None),
        ("4111111111111111", {"method": "keep_last"}, "************1111"),
        ("ünïcödé", {"method": "keep_last", "keep": 2}, "*****dé"),
        ("1234", {"method": "keep_last"}, "****"),
        ("12", {"method": "keep_last"}, "**"),
        (None, {"method": "keep_last"}, None),
        ("a@b.org wrote", {"method": "replace", "pattern": r"\S+@(\S+)", "replacement": r"x@\1"}, "x@b.org wrote"),
        (b"\xff\x00", {"method": "keep_last", "keep": 2}, "**00"),
    ],
)
def test_methods(value: object, settings: dict[str, object], masked: object) -> None:
    assert mask(value, **settings) == masked


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "hash"}, "needs a `key`"),
        ({"method": "hash", "key": ""}, "needs a `key`"),
        ({"method": "redact", "key": "k"}, "goes with `method: hash`"),
        ({"method": "replace"}, "needs a `pattern`"),
        ({"keep": 2}, "goes with `method: keep_last`"),
    ],
)
def test_settings_go_with_their_method(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Mask.Settings(columns=["x"], **settings)  # type: ignore[arg-type]


def test_a_pattern_that_re2_does_not_take() -> None:
    with pytest.raises(ConfigError, match="pattern: ") as caught:
        mask("x", method="replace", pattern="(?=x)")
    assert "look-around" in str(caught.value.hint)


def test_a_replacement_that_names_no_group() -> None:
    with pytest.raises(ConfigError, match="replacement: "):
        mask("x", method="replace", pattern="x", replacement=r"\2")


def test_a_struct_cannot_be_masked_as_one() -> None:
    with pytest.raises(ConfigError, match="x is struct"):
        mask({"y": 1})
