"""``mask``: hides what a column says, wholly or in part."""

from __future__ import annotations

import hmac
from typing import Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as t
from pydantic import Field, model_validator

from ingest.config import Secret, Settings
from ingest.connectors import Records, State, Transform, Transformed
from ingest.errors import ConfigError
from ingest.transforms.columns import need_columns, with_columns
from ingest.transforms.regexes import check_regex

_BELONGS = {"key": "hash", "text": "redact", "keep": "keep_last", "pattern": "replace", "replacement": "replace"}


class MaskSettings(Settings):
    """Settings of ``mask``."""

    columns: list[str] = Field(min_length=1, description="Which columns; each becomes a text. Null stays null.")
    method: Literal["hash", "redact", "keep_last", "replace"] = Field(
        "redact",
        description="`hash`: HMAC-SHA-256 under `key`, as 64 hexadecimal digits, so that equal values stay equal. "
        "`redact`: `text` instead. `keep_last`: all but the last `keep` characters become `*`; a value that is no "
        "longer than that becomes `*` wholly. `replace`: what `pattern` matches becomes `replacement`.",
    )
    key: Secret | None = Field(None, description="Of `hash`: without it, short values are guessed by trying them all.")
    text: str = Field("***", description="Of `redact`.")
    keep: int = Field(4, ge=1, description="Of `keep_last`.")
    pattern: str | None = Field(None, description="Of `replace`: a regular expression (RE2), anywhere in the text.")
    replacement: str = Field("***", description="Of `replace`; `\\1` stands for the first group.")

    @model_validator(mode="after")
    def _settings_of_the_method(self) -> Self:
        for name, method in _BELONGS.items():
            if name in self.model_fields_set and self.method != method:
                raise ValueError(f"`{name}` goes with `method: {method}`, and only with it")
        if self.method == "hash" and (self.key is None or not self.key.get_secret_value()):
            raise ValueError("`method: hash` needs a `key`")
        if self.method == "replace" and self.pattern is None:
            raise ValueError("`method: replace` needs a `pattern`")
        return self


class Mask(Transform):
    """Hides the values of columns: hashed, redacted, cut or replaced.

    No record is refused, and no value that was there goes on unmasked.
    """

    Settings = MaskSettings
    reads_headers = False

    def __init__(self, settings: MaskSettings) -> None:
        self._settings = settings
        if settings.pattern is not None:
            check_regex(settings.pattern, "pattern")
            self._try_replacement(settings)

    def apply(self, records: Records, state: State) -> Transformed:
        need_columns(records, self._settings.columns, "columns")
        batch = records.columns()
        for name in self._settings.columns:
            index = batch.schema.get_field_index(name)
            if index >= 0:
                masked = self._masked(_as_text(name, batch.column(index)))
                batch = batch.set_column(index, batch.schema.field(index).with_type(pa.string()), masked)
        return Transformed([with_columns(records, batch)])

    def _masked(self, texts: pa.Array) -> pa.Array:
        settings = self._settings
        if settings.method == "hash":
            return self._hashed(texts)
        if settings.method == "replace":
            return pc.replace_substring_regex(texts, settings.pattern, settings.replacement)
        if settings.method == "redact":
            return pc.if_else(texts.is_valid(), settings.text, pa.scalar(None, pa.string()))
        length = pc.utf8_length(texts)
        kept = pc.if_else(pc.greater(length, settings.keep), settings.keep, 0)
        stars = pc.binary_repeat("*", pc.subtract(length, kept))
        ending = pc.utf8_slice_codeunits(texts, -settings.keep)
        return pc.binary_join_element_wise(stars, pc.if_else(pc.greater(kept, 0), ending, ""), "")

    def _hashed(self, texts: pa.Array) -> pa.Array:
        """One digest per distinct value of the batch."""
        assert self._settings.key is not None
        key = self._settings.key.get_secret_value().encode()
        distinct = texts.dictionary_encode()
        digests = [hmac.digest(key, text.encode(), "sha256").hex() for text in distinct.dictionary.to_pylist()]
        return pa.array(digests, pa.string()).take(distinct.indices)

    def _try_replacement(self, settings: MaskSettings) -> None:
        try:
            pc.replace_substring_regex(pa.array([""]), settings.pattern, settings.replacement)
        except pa.ArrowInvalid as error:
            raise ConfigError(f"replacement: {error}", setting="replacement") from None


def _as_text(name: str, column: pa.Array) -> pa.Array:
    """Bytes that are no text are masked as their hexadecimal digits."""
    if t.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([None if value is None else value.hex() for value in column.to_pylist()], pa.string())
    except pa.ArrowNotImplementedError as error:
        hint = "mask its fields: take them out with select first"
        raise ConfigError(f"columns: {name} is {column.type}", hint=hint, setting="columns") from error
